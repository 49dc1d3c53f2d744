from types import SimpleNamespace

import pytest
import torch

from segment.errors import UserError
from segment.forecast import stopwatch
from segment.forecast.stopwatch import Stopwatch

CPU = torch.device("cpu")


class Clock:
    """Time that passes only when it is told to."""

    now = 100.0

    def perf_counter(self):
        return self.now


@pytest.fixture
def clock(monkeypatch):
    clock = Clock()
    monkeypatch.setattr(stopwatch, "time", clock)
    return clock


def epoch(watch, clock, waits, steps, validation=0.0):
    """An epoch whose steps wait and take so many seconds each."""
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


def test_steps_are_timed_after_the_first_half_has_warmed_up(clock):
    watch = Stopwatch()
    clock.now += 20  # data, network and trainer, which the run has, too
    watch.start()
    clock.now += 3
    epoch(watch, clock, waits=[2, 0, 0.5, 1.5], steps=[9, 1, 1.5, 2.5], validation=7)
    trial = watch.trial(CPU)
    assert trial.steps == 4
    assert trial.once_s == 3 + 4
    assert trial.step_s == (0.5 + 1.5 + 1.5 + 2.5) / 2
    assert trial.waiting == 2 / 6
    assert (trial.volume_s, trial.validation_s) == (7, 0.5)
    assert trial.epoch_s == 2 + 0.25  # until the first batch is there, and after the last step


def test_a_single_step_has_to_do(clock):
    watch = Stopwatch()
    epoch(watch, clock, waits=[2], steps=[9])
    trial = watch.trial(CPU)
    assert (trial.step_s, trial.waiting) == (9, 0)


def test_a_test_is_timed(clock):
    watch = Stopwatch()
    epoch(watch, clock, [0], [1])
    assert watch.trial(CPU).test_s == 0
    watch.on_test_start(None, None)
    clock.now += 5
    watch.on_test_end(None, None)
    assert watch.trial(CPU).test_s == 5


def test_memory_is_that_of_the_process_with_its_workers_while_it_trains(clock, monkeypatch):
    peaks = iter([10, 14])
    monkeypatch.setattr(stopwatch, "peak", lambda: next(peaks))
    monkeypatch.setattr(stopwatch.memory, "workers", lambda: 3)
    watch = Stopwatch()
    epoch(watch, clock, [0], [1])
    assert watch.trial(CPU).memory_bytes == 14  # of the test, without workers
    peaks = iter([10, 12])
    watch = Stopwatch()
    epoch(watch, clock, [0], [1])
    assert watch.trial(CPU).memory_bytes == 13


@pytest.mark.parametrize("loss", ["nan", "inf"])
def test_a_loss_that_is_no_number_ends_the_run_and_names_the_cases(loss):
    batch = {"case": ["set/a", "set/b"]}
    with pytest.raises(UserError, match=rf"the loss of step 3 \(set/a, set/b\) is {loss}; look at these cases"):
        Stopwatch().on_train_batch_end(SimpleNamespace(), None, {"loss": torch.tensor(float(loss))}, batch, 2)


def test_one_epoch_is_enough():
    trainer = SimpleNamespace(should_stop=False)
    Stopwatch().on_train_epoch_end(trainer, None)
    assert trainer.should_stop
