"""A training process with all that it starts, which nobody has to look after."""

import ctypes
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path

PR_SET_PDEATHSIG = 1  # <linux/prctl.h>
TAIL = 65536  # bytes


class Process:
    """A command that runs in a process group of its own.

    On Linux it is killed when this process dies, even by `kill -9`; elsewhere it then goes on, and the lock that it
    inherits tells so.

    Args:
        command: Program and arguments.
        output: File that gets what it prints, behind what is there.
        environment: Its variables.
        lock: An open file that it keeps open.
        grace_s: How long it may take to end after `stop`.
    """

    def __init__(
        self, command: Sequence[str], output: Path, environment: Mapping[str, str], lock: int, grace_s: float
    ) -> None:
        self.grace_s = grace_s
        self.deadline: float | None = None
        self.output = output
        with output.open("ab") as file:
            self.start = file.tell()
            self.process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=file,
                stderr=subprocess.STDOUT,
                env=environment,
                pass_fds=[lock],
                start_new_session=True,  # Ctrl-C reaches only the search, which then stops it gently
                preexec_fn=_dies_with(os.getpid()) if sys.platform == "linux" else None,
            )

    def poll(self) -> int | None:
        """Exit code, negative for a signal; None while it runs."""
        if self.process.returncode is None:
            if self.deadline is not None and time.monotonic() > self.deadline:
                self.kill()
            if self.process.poll() is not None:
                # What it has left behind. Only now: later the number may be another's.
                self._signal_group(signal.SIGKILL)
        return self.process.returncode

    def tail(self) -> str:
        """The end of what it printed."""
        with self.output.open("rb") as file:
            file.seek(max(self.start, self.output.stat().st_size - TAIL))
            return file.read().decode(errors="replace")

    def stop(self) -> None:
        """Ask it to save a checkpoint and end; it is killed if it takes too long."""
        if self.deadline is None:
            self.deadline = time.monotonic() + self.grace_s
            self.process.terminate()  # alone: a signal to its workers would look like their crash

    def kill(self) -> None:
        """End it and all that it has started, at once."""
        if self.process.returncode is None:
            self._signal_group(signal.SIGKILL)

    def wait(self) -> int:
        """Wait for its end."""
        while (code := self.poll()) is None:
            time.sleep(0.02)
        return code

    def _signal_group(self, number: int) -> None:
        with suppress(ProcessLookupError, PermissionError):  # nobody is left
            os.killpg(self.process.pid, number)


def _dies_with(parent: int) -> Callable[[], None]:
    """What a child does before it becomes the command, so that the kernel kills it when its parent dies."""
    library = ctypes.CDLL(None)  # here, for between fork and exec little is safe

    def before_exec() -> None:
        library.prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
        if os.getppid() != parent:  # it died before that
            os._exit(1)

    return before_exec
