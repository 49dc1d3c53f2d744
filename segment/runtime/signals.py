"""Signal handlers that end the process in every phase, with one line of output and within bounded time."""

import _thread
import os
import signal
import stat
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import partial
from types import FrameType
from typing import Any

Handler = Callable[[int, FrameType | None], Any] | int | None

# Ctrl+C, `kill`, a closed terminal, and the signals that SLURM sends before it ends a job.
NAMES = ("SIGINT", "SIGTERM", "SIGHUP", "SIGUSR1", "SIGUSR2")
SIGNALS = tuple(getattr(signal, name) for name in NAMES if hasattr(signal, name))
STOPPED = 128 + signal.SIGTERM  # exit code for all signals but Ctrl+C, as a shell would report it
STOPPED_BY_HAND = 128 + signal.SIGINT
GRACE_S = 40.0  # time to close files, workers and loggers; W&B takes the longest
AGAIN_S = 0.05  # delay before the signal is sent again if Python ignored the exception


def listen(numbers: Sequence[int] = SIGNALS) -> dict[int, Handler]:
    """Make signals end this process by `SystemExit`, except those that are already handled or ignored.

    Returns:
        The previous handlers, by signal number.
    """
    default = (signal.SIG_DFL, signal.default_int_handler)
    ending = Ending()
    previous: dict[int, Handler] = {}
    for number in numbers:
        handler = signal.getsignal(number)
        if handler in default:
            signal.signal(number, ending)
            previous[number] = handler
    return previous


class Ending:
    """A signal handler that ends the process.

    It raises `SystemExit`, which closes files, loggers and workers. If Python ignores the exception, for example in a
    destructor or during a fork, it sends the signal again. After `GRACE_S` it kills the process and its workers, in
    case a worker, a server or a lock does not respond. A second Ctrl+C kills them at once.
    """

    def __init__(self) -> None:
        self.received = self.ignored = False
        self.process = os.getpid()

    def __call__(self, number: int, frame: FrameType | None) -> None:
        """Handle a signal.

        Raises:
            SystemExit: With `STOPPED` or `STOPPED_BY_HAND`.
        """
        code = STOPPED_BY_HAND if number == signal.SIGINT else STOPPED
        if self.received and not self.ignored:
            if number == signal.SIGINT:
                _end_now(code)
            return
        if not self.received:
            if os.getpid() == self.process:  # not in a worker
                say(f"ended by {signal.Signals(number).name}")
            # Not `threading.Thread`: the interrupted code may hold its lock.
            _thread.start_new_thread(_end_later, (code,))
        self.received, self.ignored = True, False
        sys.unraisablehook = partial(self._on_unraisable, number)
        raise SystemExit(code)

    def _on_unraisable(self, number: int, unraisable: Any) -> None:  # noqa: ANN401  # typeshed hides its type
        """Send the signal again when Python has ignored the `SystemExit`."""
        if not isinstance(unraisable.exc_value, SystemExit):
            sys.__unraisablehook__(unraisable)
            return
        self.ignored = True
        _thread.start_new_thread(_send_later, (number,))


def say(sentence: str) -> None:
    """Write a line to stderr. Safe in a signal handler, where `print` may already be running."""
    leave_closed_terminal()
    with suppress(OSError):
        os.write(2, f"{sentence}\n".encode())


def leave_closed_terminal() -> None:
    """Redirect stdout and stderr to /dev/null if their terminal is closed.

    Otherwise the next line of output would raise an error before the run is saved.
    """
    for number in (1, 2):
        with suppress(OSError):
            if stat.S_ISCHR(os.fstat(number).st_mode) and not os.isatty(number):
                os.dup2(os.open(os.devnull, os.O_WRONLY), number)


def _send_later(number: int) -> None:
    time.sleep(AGAIN_S)
    os.kill(os.getpid(), number)


def _end_later(code: int) -> None:
    time.sleep(GRACE_S)
    _end_now(code)


def _end_now(code: int) -> None:
    from multiprocessing import active_children  # imported late: it would double the start-up time of every command

    for child in active_children():
        child.kill()
    os._exit(code)
