"""Processes that run a module like `python -m`, but start with the slow packages imported.

Importing torch, Lightning and others takes six seconds. A server, one for each pytest worker, imports them once and
forks itself for every call. The new process is a process like any other: its environment, folder, output, signals and
exit code are its own, and it imports `segment` itself. In two things it differs from a new interpreter: the slow
packages do not see its environment while they are imported, and all processes of a server hash strings alike.

As a script, this is the server.
"""

import atexit
import functools
import gc
import json
import os
import runpy
import select
import signal
import socket
import struct
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from importlib import import_module
from pathlib import Path
from typing import Any, Self

# Without blosc2, whose import starts threads, which a fork would lose, and without W&B, whose import makes a temporary
# folder, which the process that ends first would remove.
SLOW = ("hydra", "torch", "pytorch_lightning", "torchio", "monai.losses")
NUMBER = struct.Struct("i")
MESSAGE_BYTES = 200_000


class Process:
    """A process that the server has started, with the methods of `subprocess.Popen` that tests use."""

    def __init__(self, call: list[str], server: socket.socket, options: Mapping[str, Any]) -> None:
        self.args = call
        self.returncode: int | None = None
        self._outputs = [tempfile.TemporaryFile() for _ in range(2)]  # noqa: SIM115, communicate closes them
        self._connection, theirs = socket.socketpair()
        message = json.dumps({"call": call, **options}).encode()
        with theirs:
            socket.send_fds(server, [message], [output.fileno() for output in (*self._outputs, theirs)])
        self.pid = self._receive()

    def _receive(self) -> int:
        (number,) = NUMBER.unpack(self._connection.recv(NUMBER.size))
        return number

    def wait(self, timeout: float | None = None) -> int:
        if self.returncode is None:
            if not select.select([self._connection], [], [], timeout)[0]:
                raise subprocess.TimeoutExpired(self.args, timeout)
            self.returncode = self._receive()
            self._connection.close()
        return self.returncode

    def poll(self) -> int | None:
        try:
            return self.wait(0)
        except subprocess.TimeoutExpired:
            return None

    def communicate(self, timeout: float | None = None) -> tuple[str, str]:
        """Wait for the end; returns stdout and stderr, once."""
        self.wait(timeout)
        texts = []
        for output in self._outputs:
            with output:
                output.seek(0)
                texts.append(output.read().decode())
        return texts[0], texts[1]

    def send_signal(self, number: int) -> None:
        if self.poll() is None:
            os.kill(self.pid, number)

    def terminate(self) -> None:
        self.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.wait()
        for output in self._outputs:
            output.close()


def start(
    module: str, *arguments: str, env: Mapping[str, str], cwd: Path | None = None, start_new_session: bool = False
) -> Process:
    """Start `python -m <module> <arguments>`, with one thread; options as of `subprocess.Popen`."""
    assert env["OMP_NUM_THREADS"] == "1"
    options = {"env": dict(env), "cwd": str(cwd or Path.cwd()), "start_new_session": start_new_session}
    return Process([module, *arguments], _server(), options)


@functools.cache
def _server() -> socket.socket:
    """The connection to this process's server, which ends when the connection is closed."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with theirs:
        process = subprocess.Popen(
            [sys.executable, __file__, str(theirs.fileno())],
            env=os.environ | {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"},
            pass_fds=[theirs.fileno()],
            stdin=subprocess.DEVNULL,
        )
    assert ours.recv(1), "the server has not started"

    def end() -> None:
        ours.close()
        process.wait()

    atexit.register(end)
    return ours


def serve(server: socket.socket) -> list[str]:
    """Fork this process for every call that comes; returns, only in the forked processes, module and arguments."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    server.send(b"1")
    keepers = set()
    while True:
        message, files, *_ = socket.recv_fds(server, MESSAGE_BYTES, 3)
        if not message:
            os._exit(0)
        keepers -= {keeper for keeper in keepers if os.waitpid(keeper, os.WNOHANG)[0]}
        keeper = os.fork()
        if keeper == 0:
            server.close()
            return keep(json.loads(message), *files)
        keepers.add(keeper)
        for file in files:
            os.close(file)


def keep(wanted: dict[str, Any], out: int, err: int, connection: int) -> list[str]:
    """Fork the process of a call, and report its end."""
    pid = os.fork()
    if pid == 0:
        return become(wanted, out, err, connection)
    _, status = os.waitpid(pid, 0)
    os.write(connection, NUMBER.pack(os.waitstatus_to_exitcode(status)))
    os._exit(0)


def become(wanted: dict[str, Any], out: int, err: int, connection: int) -> list[str]:
    """Turn this process into that of a call, and report its id."""
    if wanted["start_new_session"]:
        os.setsid()
    signal.signal(signal.SIGINT, signal.default_int_handler)
    os.chdir(wanted["cwd"])
    os.environ.clear()
    os.environ.update(wanted["env"])
    paths = [path for path in wanted["env"].get("PYTHONPATH", "").split(os.pathsep) if path]
    sys.path[:1] = [wanted["cwd"], *paths]
    sys.modules["numpy"].random.seed()  # as in a new interpreter; Python's own generator has a new seed already
    os.dup2(out, 1)
    os.dup2(err, 2)
    os.write(connection, NUMBER.pack(os.getpid()))
    for file in (out, err, connection):
        os.close(file)
    return wanted["call"]


if __name__ == "__main__":
    for name in SLOW:
        import_module(name)
    threads = Path("/proc/self/task")  # of Linux
    assert not threads.exists() or len(list(threads.iterdir())) == 1, "a fork would lose threads of these packages"
    gc.freeze()  # else a collection in a forked process would copy the pages of all that is imported
    module, *arguments = serve(socket.socket(fileno=int(sys.argv[1])))
    sys.orig_argv = [sys.executable, "-m", module, *arguments]
    sys.argv = ["-m", *arguments]  # as Python does, until it has found the module
    runpy.run_module(module, run_name="__main__", alter_sys=True)
