"""Signal handling in DataLoader workers. A scheduler sends signals to every process of a job."""

import os
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Thread

from segment.runtime.signals import SIGNALS


@contextmanager
def signals_held_back() -> Iterator[None]:
    """Hold back the signals of a job while a loader starts its workers, which call `ignore_job_signals`.

    A worker inherits the handlers of the run, and the mask of the thread that starts it. Without this mask, it would
    call these handlers if a signal arrived before it can ignore signals, which takes up to a second.
    """
    if not hasattr(signal, "pthread_sigmask"):  # Windows
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, ())
    try:
        signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)  # a handler may raise here
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def ignore_job_signals(worker: int) -> None:
    """Make a DataLoader worker ignore signals that do not come from its parent. A `worker_init_fn`.

    Ctrl+C, a closed terminal, and the SIGTERM of SLURM or a container reach the workers too. If a worker ended, it
    would end the run before the run has saved its step. If a worker handled the signal in Python, it would repeat the
    work of the run. A SIGTERM from the parent still ends the worker. Start the loader within `signals_held_back`.

    Args:
        worker: Its number; not used.
    """
    ignored = {*SIGNALS} - {signal.SIGTERM}
    for number in ignored:
        signal.signal(number, signal.SIG_IGN)
    if sys.platform == "linux":  # only Linux reports the sender of a signal
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
        signal.pthread_sigmask(signal.SIG_UNBLOCK, ignored)
        Thread(target=_exit_on_parents_sigterm, daemon=True).start()
    elif hasattr(signal, "pthread_sigmask"):
        signal.pthread_sigmask(signal.SIG_UNBLOCK, SIGNALS)


def _exit_on_parents_sigterm() -> None:
    while sys.platform == "linux" and signal.sigwaitinfo({signal.SIGTERM}).si_pid != os.getppid():
        pass
    os._exit(0)
