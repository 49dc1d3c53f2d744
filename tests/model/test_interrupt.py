import signal
from types import SimpleNamespace

import pytest

from segment.model.interrupt import Interrupt


def told(number: int, before: dict) -> Interrupt:
    """A run that has got a signal during validation."""
    interrupt = Interrupt("last.ckpt", minutes=10)
    interrupt.before, interrupt.received = before, number
    return interrupt


def test_a_handler_that_comes_back_lets_the_run_go_on():
    """As submitit's at SIGTERM: a pre-empted job must not end before SLURM ends it."""
    calls = []
    interrupt = told(signal.SIGTERM, {signal.SIGTERM: lambda number, frame: calls.append(number)})
    for _ in range(2):
        interrupt.on_validation_batch_end(SimpleNamespace(is_global_zero=False))
    assert calls == [signal.SIGTERM]


@pytest.mark.parametrize("before", [signal.SIG_DFL, signal.SIG_IGN, None])
def test_where_nobody_handled_the_signal_the_run_ends(before):
    interrupt = told(signal.SIGUSR1, {signal.SIGUSR1: before})
    with pytest.raises(SystemExit) as end:
        interrupt.on_validation_batch_end(SimpleNamespace(is_global_zero=True))
    assert end.value.code == 143


def test_ctrl_c_twice_waits_no_longer():
    interrupt = told(signal.SIGINT, {signal.SIGINT: signal.default_int_handler})
    with pytest.raises(KeyboardInterrupt):
        interrupt._note(signal.SIGINT, None)


def test_only_the_first_process_ends_where_the_job_is_requeued(monkeypatch):
    waited = []
    monkeypatch.setattr("segment.model.interrupt.time.sleep", waited.append)
    monkeypatch.setattr("segment.model.interrupt.signal.signal", lambda number, handler: waited.append(number))
    interrupt = told(signal.SIGUSR2, {signal.SIGUSR2: lambda number, frame: None})  # as submitit's in the others
    with pytest.raises(SystemExit):
        interrupt.on_validation_batch_end(SimpleNamespace(is_global_zero=False))
    assert waited == [signal.SIGTERM, 120]
