"""Signal handling in DataLoader workers. A scheduler sends signals to every process of a job."""

import os
import signal
import sys
from threading import Thread

from segment.runtime.signals import SIGNALS


def ignore_job_signals(worker: int) -> None:
    """Make a DataLoader worker ignore signals that do not come from its parent. A `worker_init_fn`.

    Ctrl+C, a closed terminal, and the SIGTERM of SLURM or a container reach the workers too. If a worker ended, it
    would end the run before the run has saved its step. If a worker handled the signal in Python, it would repeat the
    work of the run. A SIGTERM from the parent still ends the worker.

    Args:
        worker: Its number; not used.
    """
    for number in SIGNALS:
        if number != signal.SIGTERM:
            signal.signal(number, signal.SIG_IGN)
    if sys.platform == "linux":  # only Linux reports the sender of a signal
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
        Thread(target=_exit_on_parents_sigterm, daemon=True).start()


def _exit_on_parents_sigterm() -> None:
    while sys.platform == "linux" and signal.sigwaitinfo({signal.SIGTERM}).si_pid != os.getppid():
        pass
    os._exit(0)
