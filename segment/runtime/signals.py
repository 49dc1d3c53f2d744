"""Signals that ask a process to end: each of them ends it in every phase, in a sentence and in bounded time."""

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

# Of the keyboard, of a terminal that closes, and those by which SLURM announces a job's end.
NAMES = ("SIGINT", "SIGTERM", "SIGHUP", "SIGUSR1", "SIGUSR2")
SIGNALS = tuple(getattr(signal, name) for name in NAMES if hasattr(signal, name))
STOPPED = 128 + signal.SIGTERM  # exit code, as a shell shows it; that of all signals but Ctrl+C
STOPPED_BY_HAND = 128 + signal.SIGINT
GRACE_S = 40.0  # for what is under way: closing files and loggers, of which W&B takes the longest, ending workers
AGAIN_S = 0.05  # until what ignores exceptions has come to its end


def listen(numbers: Sequence[int] = SIGNALS) -> dict[int, Handler]:
    """Let signals that nobody handles or ignores end this process by a `SystemExit`.

    Returns:
        Who handled them before, by their numbers.
    """
    free = (signal.SIG_DFL, signal.default_int_handler)
    before = {number: signal.getsignal(number) for number in numbers}
    ending = Ending()
    return {number: signal.signal(number, ending) for number, handler in before.items() if handler in free}


class Ending:
    """A handler of signals that ends the process.

    It raises `SystemExit`, so that files, loggers and workers are closed; again, where Python ignores exceptions, as in
    a destructor or at a fork. What has not ended after `GRACE_S`, because a worker, a server or a lock does not answer,
    is killed with all workers; a second Ctrl+C does so at once.
    """

    def __init__(self) -> None:
        self.begun = self.ignored = False
        self.process = os.getpid()

    def __call__(self, number: int, frame: FrameType | None) -> None:
        """Take a signal.

        Raises:
            SystemExit: With `STOPPED` or `STOPPED_BY_HAND`.
        """
        code = STOPPED_BY_HAND if number == signal.SIGINT else STOPPED
        if self.begun and not self.ignored:
            if number == signal.SIGINT:
                _end_now(code)
            return
        if not self.begun:
            if os.getpid() == self.process:  # not in a worker
                say(f"ended by {signal.Signals(number).name}")
            # Not `threading.Thread`: the code that the signal has interrupted may hold its lock.
            _thread.start_new_thread(_end_later, (code,))
        self.begun, self.ignored = True, False
        sys.unraisablehook = partial(self._ignored, number)
        raise SystemExit(code)

    def _ignored(self, number: int, unraisable: Any) -> None:  # noqa: ANN401  # typeshed hides its type
        if not isinstance(unraisable.exc_value, SystemExit):
            sys.__unraisablehook__(unraisable)
            return
        self.ignored = True
        _thread.start_new_thread(_send_later, (number,))


def say(sentence: str) -> None:
    """Write a line to stderr, also from a signal's handler, where `print` may meet itself."""
    leave_closed_terminal()
    with suppress(OSError):
        os.write(2, f"{sentence}\n".encode())


def leave_closed_terminal() -> None:
    """Send output nowhere when its terminal is gone: else the next line is an error, before the run is saved."""
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
    from multiprocessing import active_children  # here, for it costs every command's start as much as all the rest

    for child in active_children():
        child.kill()
    os._exit(code)
