import os
import signal
import time
from pathlib import Path
from types import SimpleNamespace

import pytest

from segment.callbacks import interrupt as module
from segment.callbacks.interrupt import Interrupt


@pytest.fixture(autouse=True)
def alarm():
    """Reset the timer and its handler after each test."""
    before = signal.getsignal(signal.SIGALRM)
    yield
    signal.setitimer(signal.ITIMER_REAL, 0)
    signal.signal(signal.SIGALRM, before)


def interrupt_after(number: int, before: dict, *, is_first: bool = True) -> Interrupt:
    """A run that has received a signal during validation."""
    interrupt = Interrupt("last.ckpt", minutes=10)
    interrupt.before, interrupt.received, interrupt.is_first = before, number, is_first
    return interrupt


def test_the_run_continues_if_the_previous_handler_returns():
    """For example submitit's handler of SIGTERM: a preempted job must not end before SLURM ends it."""
    calls = []
    interrupt = interrupt_after(
        signal.SIGTERM, {signal.SIGTERM: lambda number, frame: calls.append(number)}, is_first=False
    )
    signal.setitimer(signal.ITIMER_REAL, 60)
    for _ in range(2):
        interrupt.on_validation_batch_end(SimpleNamespace())
    assert calls == [signal.SIGTERM]
    assert signal.getitimer(signal.ITIMER_REAL) == (0, 0)  # the alarm is off


@pytest.mark.parametrize("before", [signal.SIG_DFL, signal.SIG_IGN, None])
@pytest.mark.parametrize("number", [signal.SIGUSR1, signal.SIGHUP])
def test_the_run_ends_without_a_previous_handler(number, before):
    interrupt = interrupt_after(number, {number: before})
    with pytest.raises(SystemExit) as end:
        interrupt.on_validation_batch_end(SimpleNamespace())
    assert end.value.code == 143


def test_a_second_ctrl_c_ends_the_run_at_once():
    interrupt = interrupt_after(signal.SIGINT, {signal.SIGINT: signal.default_int_handler})
    with pytest.raises(SystemExit) as end:
        interrupt._receive(signal.SIGINT, None)
    assert end.value.code == 130


def test_a_stalled_step_ends_the_run_after_a_while(monkeypatch, caplog):
    monkeypatch.setattr(module, "STEP_S", 0.1)
    interrupt = interrupt_after(signal.SIGTERM, {signal.SIGTERM: signal.SIG_DFL})
    interrupt.received, interrupt.longest_s = None, 0.05
    interrupt._receive(signal.SIGTERM, None)
    started = time.monotonic()
    with pytest.raises(SystemExit) as end:
        time.sleep(60)  # stands for a wait for a batch
    assert end.value.code == 143
    assert "within a step that does not end; resume from the last checkpoint with resume=true" in caplog.text
    assert time.monotonic() - started >= 0.29  # 0.1 s and four times the longest step


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGHUP])
def test_signals_that_were_ignored_stay_ignored(number):
    before = signal.signal(number, signal.SIG_IGN)
    try:
        interrupt = Interrupt("last.ckpt", minutes=10)
        trainer = SimpleNamespace(is_global_zero=True)
        interrupt.setup(trainer, SimpleNamespace(), "fit")
        interrupt.on_train_start(trainer, SimpleNamespace())
        os.kill(os.getpid(), number)
        assert interrupt.received is None
        interrupt.teardown(trainer, SimpleNamespace(), "fit")
    finally:
        signal.signal(number, before)


def test_other_processes_wait_until_the_first_has_requeued_the_job(monkeypatch):
    waited = []
    monkeypatch.setattr("segment.callbacks.interrupt.time.sleep", waited.append)
    monkeypatch.setattr("segment.callbacks.interrupt.signal.signal", lambda number, handler: waited.append(number))
    # submitit's handler returns in all processes except the first.
    interrupt = interrupt_after(signal.SIGUSR2, {signal.SIGUSR2: lambda number, frame: None}, is_first=False)
    with pytest.raises(SystemExit):
        interrupt.on_validation_batch_end(SimpleNamespace())
    assert waited == [signal.SIGTERM, 120]


def test_the_log_states_when_the_run_stopped_and_how_to_resume(caplog):
    saved = []
    trainer = SimpleNamespace(
        is_last_batch=False,
        accumulate_grad_batches=1,
        global_step=7,
        save_checkpoint=saved.append,
        strategy=SimpleNamespace(reduce_boolean_decision=lambda decision, **_: decision),
    )
    interrupt = interrupt_after(signal.SIGTERM, {signal.SIGTERM: signal.SIG_DFL})
    with pytest.raises(SystemExit):
        interrupt.on_train_batch_end(trainer, None, None, None, 0)
    assert saved == [Path("last.ckpt")]
    assert "stopped by a signal: saved after step 7; resume with resume=true" in caplog.text
    with pytest.raises(SystemExit):
        interrupt_after(signal.SIGTERM, {}).teardown(trainer, None, "fit")
    assert "stopped by a signal after training; resume with resume=true" in caplog.text
    with pytest.raises(SystemExit):
        interrupt_after(signal.SIGTERM, {}).on_validation_batch_end(trainer)
    assert "stopped by a signal during validation; resume with resume=true" in caplog.text
