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
    """Timers and handlers of a test end with it."""
    before = signal.getsignal(signal.SIGALRM)
    yield
    signal.setitimer(signal.ITIMER_REAL, 0)
    signal.signal(signal.SIGALRM, before)


def interrupt_after(number: int, before: dict, *, is_first: bool = True) -> Interrupt:
    """A run that has got a signal during validation."""
    interrupt = Interrupt("last.ckpt", minutes=10)
    interrupt.before, interrupt.received, interrupt.is_first = before, number, is_first
    return interrupt


def test_a_handler_that_comes_back_lets_the_run_go_on():
    """As submitit's at SIGTERM: a pre-empted job must not end before SLURM ends it."""
    calls = []
    interrupt = interrupt_after(
        signal.SIGTERM, {signal.SIGTERM: lambda number, frame: calls.append(number)}, is_first=False
    )
    signal.setitimer(signal.ITIMER_REAL, 60)
    for _ in range(2):
        interrupt.on_validation_batch_end(SimpleNamespace())
    assert calls == [signal.SIGTERM]
    assert signal.getitimer(signal.ITIMER_REAL) == (0, 0)  # nor is it given up later


@pytest.mark.parametrize("before", [signal.SIG_DFL, signal.SIG_IGN, None])
@pytest.mark.parametrize("number", [signal.SIGUSR1, signal.SIGHUP])
def test_where_nobody_handled_the_signal_the_run_ends(number, before):
    interrupt = interrupt_after(number, {number: before})
    with pytest.raises(SystemExit) as end:
        interrupt.on_validation_batch_end(SimpleNamespace())
    assert end.value.code == 143


def test_ctrl_c_twice_waits_no_longer():
    interrupt = interrupt_after(signal.SIGINT, {signal.SIGINT: signal.default_int_handler})
    with pytest.raises(SystemExit) as end:
        interrupt._note(signal.SIGINT, None)
    assert end.value.code == 130


def test_a_step_that_does_not_end_is_given_up(monkeypatch, caplog):
    monkeypatch.setattr(module, "STEP_S", 0.1)
    interrupt = interrupt_after(signal.SIGTERM, {signal.SIGTERM: signal.SIG_DFL})
    interrupt.received, interrupt.longest_s = None, 0.05
    interrupt._note(signal.SIGTERM, None)
    began = time.monotonic()
    with pytest.raises(SystemExit) as end:
        time.sleep(60)  # as the wait for a batch
    assert end.value.code == 143
    assert "within a step that does not end; resume from the last checkpoint with resume=true" in caplog.text
    assert time.monotonic() - began >= 0.29  # 0.1 s and four times the longest step


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGHUP])
def test_what_a_script_or_nohup_has_ignored_stays_so(number):
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


def test_only_the_first_process_ends_where_the_job_is_requeued(monkeypatch):
    waited = []
    monkeypatch.setattr("segment.callbacks.interrupt.time.sleep", waited.append)
    monkeypatch.setattr("segment.callbacks.interrupt.signal.signal", lambda number, handler: waited.append(number))
    # As submitit's in the others.
    interrupt = interrupt_after(signal.SIGUSR2, {signal.SIGUSR2: lambda number, frame: None}, is_first=False)
    with pytest.raises(SystemExit):
        interrupt.on_validation_batch_end(SimpleNamespace())
    assert waited == [signal.SIGTERM, 120]


def test_the_log_says_when_the_run_was_stopped_and_how_to_resume_it(caplog):
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
