"""How loader workers take signals, which reach every process of a job."""

import os
import signal
import sys
from threading import Thread

from segment.runtime.signals import SIGNALS


def heed_only_the_parent(worker: int) -> None:
    """Let a worker of a DataLoader go on where its whole job is told to end; its `worker_init_fn`.

    A worker that ends by Ctrl+C, by a closed terminal or by the SIGTERM of SLURM or a container takes the run along
    before that has saved its step. The run itself ends its workers by SIGTERM, too, and those signals that Python
    handles would do the run's work twice.

    Args:
        worker: Its number.
    """
    for number in SIGNALS:
        if number != signal.SIGTERM:
            signal.signal(number, signal.SIG_IGN)
    if sys.platform == "linux":  # elsewhere nobody can tell who has sent a signal
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
        Thread(target=_end_with_the_parent, daemon=True).start()


def _end_with_the_parent() -> None:
    while sys.platform == "linux" and signal.sigwaitinfo({signal.SIGTERM}).si_pid != os.getppid():
        pass
    os._exit(0)
