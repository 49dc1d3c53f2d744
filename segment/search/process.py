"""Run a training as a child process, and end it together with all processes that it has started."""

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
    """A command that runs in its own process group.

    On Linux the kernel kills it when this process dies, even by `kill -9`. On other systems it keeps running, and the
    lock that it inherits shows other processes that it does.

    Args:
        command: Program and arguments.
        output: File to which its output is appended.
        environment: Its environment variables.
        lock: File descriptor of a lock, which it inherits.
        grace_s: Seconds between `stop` and the kill.
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
                start_new_session=True,  # Ctrl-C reaches only the search, which then stops the training gently
                preexec_fn=_die_with(os.getpid()) if sys.platform == "linux" else None,
            )

    def poll(self) -> int | None:
        """Exit code, negative for a signal; None while it runs.

        Kills the process if it is still running `grace_s` seconds after `stop`.
        """
        if self.process.returncode is None:
            if self.deadline is not None and time.monotonic() > self.deadline:
                self.kill()
            if self.process.poll() is not None:
                # Kill the children that it left behind at once: later, another group may have the same number.
                self._signal_group(signal.SIGKILL)
        return self.process.returncode

    def tail(self) -> str:
        """The end of its output, at most `TAIL` bytes."""
        with self.output.open("rb") as file:
            file.seek(max(self.start, self.output.stat().st_size - TAIL))
            return file.read().decode(errors="replace")

    def stop(self) -> None:
        """Ask it to save a checkpoint and exit; it is killed if it takes longer than `grace_s`."""
        if self.deadline is None:
            self.deadline = time.monotonic() + self.grace_s
            # Only this process gets the signal: to the training, a data worker that ends by a signal has crashed.
            self.process.terminate()

    def kill(self) -> None:
        """Kill it and all processes that it has started."""
        if self.process.returncode is None:
            self._signal_group(signal.SIGKILL)

    def wait(self) -> int:
        """Wait until it has ended, and return its exit code."""
        code = self.poll()
        while code is None:
            time.sleep(0.02)
            code = self.poll()
        return code

    def _signal_group(self, number: int) -> None:
        with suppress(ProcessLookupError, PermissionError):  # no process is left
            os.killpg(self.process.pid, number)


def _die_with(parent: int) -> Callable[[], None]:
    """Function that a child calls between fork and exec, so that the kernel kills it when its parent dies."""
    library = ctypes.CDLL(None)  # loaded here, because few calls are safe between fork and exec

    def before_exec() -> None:
        library.prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
        if os.getppid() != parent:  # the parent has already died
            os._exit(1)

    return before_exec
