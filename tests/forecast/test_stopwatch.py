from types import SimpleNamespace

import pytest
import torch

from segment.errors import UserError
from segment.forecast import stopwatch
from segment.forecast.stopwatch import Stopwatch

CPU = torch.device("cpu")


class Clock:
    """A clock that the test sets."""

    now = 100.0

    def perf_counter(self):
        return self.now


@pytest.fixture
def clock(monkeypatch):
    clock = Clock()
    monkeypatch.setattr(stopwatch, "time", clock)
    return clock


def epoch(watch, clock, waits, steps, validation=0.0):
    """Simulate an epoch; `waits` and `steps` are the seconds before and during each step."""
    watch.on_train_epoch_start(None, None)
    for index, (wait, seconds) in enumerate(zip(waits, steps, strict=True)):
        clock.now += wait
        watch.on_train_batch_start(None, None, {}, index)
        clock.now += seconds
        trainer = SimpleNamespace(is_last_batch=index + 1 == len(steps))
        watch.on_train_batch_end(trainer, None, {"loss": torch.tensor(1.0)}, {}, index)
    watch.on_validation_start(None, None)
    clock.now += validation
    watch.on_validation_batch_end(None, None, None, {}, 0)
    clock.now += 0.5  # scores
    watch.on_validation_end(None, None)
    clock.now += 0.25  # checkpoints
    watch.on_train_end(None, None)
    clock.now += 4  # pictures
    watch.on_fit_end(None, None)


def test_second_half_of_the_steps_is_timed(clock):
    watch = Stopwatch()
    clock.now += 20  # building data, network and trainer, which the run has built already
    watch.start()
    clock.now += 3
    epoch(watch, clock, waits=[2, 0, 0.5, 1.5], steps=[9, 1, 1.5, 2.5], validation=7)
    trial = watch.trial(CPU)
    assert trial.steps == 4
    assert trial.once_s == 3 + 4
    assert trial.step_s == (0.5 + 1.5 + 1.5 + 2.5) / 2
    assert trial.waiting == 2 / 6
    assert (trial.volume_s, trial.validation_s) == (7, 0.5)
    assert trial.epoch_s == 2 + 0.25  # before the first batch, and after the last step


def test_single_step_is_timed(clock):
    watch = Stopwatch()
    epoch(watch, clock, waits=[2], steps=[9])
    trial = watch.trial(CPU)
    assert (trial.step_s, trial.waiting) == (9, 0)


def test_test_is_timed(clock):
    watch = Stopwatch()
    epoch(watch, clock, [0], [1])
    assert watch.trial(CPU).test_s == 0
    watch.on_test_start(None, None)
    clock.now += 5
    watch.on_test_end(None, None)
    assert watch.trial(CPU).test_s == 5


def test_memory_includes_workers_only_during_training(clock, monkeypatch):
    peaks = iter([10, 14])
    monkeypatch.setattr(stopwatch, "peak", lambda: next(peaks))
    monkeypatch.setattr(stopwatch.memory, "workers", lambda: 3)
    watch = Stopwatch()
    epoch(watch, clock, [0], [1])
    assert watch.trial(CPU).memory_bytes == 14  # the test's peak, without workers
    peaks = iter([10, 12])
    watch = Stopwatch()
    epoch(watch, clock, [0], [1])
    assert watch.trial(CPU).memory_bytes == 13


@pytest.mark.parametrize("loss", ["nan", "inf"])
def test_loss_that_is_not_finite_is_refused_with_the_cases(loss):
    batch = {"case": ["set/a", "set/b"]}
    with pytest.raises(UserError, match=rf"the loss of step 3 \(set/a, set/b\) is {loss}; look at these cases"):
        Stopwatch().on_train_batch_end(SimpleNamespace(), None, {"loss": torch.tensor(float(loss))}, batch, 2)


def test_training_ends_after_one_epoch():
    trainer = SimpleNamespace(should_stop=False)
    Stopwatch().on_train_epoch_end(trainer, None)
    assert trainer.should_stop
