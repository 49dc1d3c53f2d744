"""One process at a time."""

import errno
import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

log = logging.getLogger(__name__)

try:
    import fcntl
except ImportError:  # Windows: two writers there are not kept apart
    fcntl = None  # type: ignore[assignment]


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Keep other processes from writing `path` while the block runs; wait for one that does, and say so.

    The system frees the lock of a process that dies. The lock file `.<name>.lock` beside the path is removed at the
    end.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    lock = path.with_name(f".{path.name}.lock")
    number = _lock(lock, path)
    try:
        yield
    finally:
        lock.unlink(missing_ok=True)
        os.close(number)


def _lock(lock: Path, path: Path) -> int:
    while True:
        number = os.open(lock, os.O_RDWR | os.O_CREAT, 0o644)
        try:
            _wait(number, path)
            if _is_same(number, lock):
                return number
        except BaseException:
            os.close(number)
            raise
        os.close(number)  # whoever held it has removed the file: lock the new one


def _wait(number: int, path: Path) -> None:
    if fcntl is None:
        return
    try:
        fcntl.flock(number, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        if error.errno not in (errno.EWOULDBLOCK, errno.EACCES):
            raise
        log.warning("another process is writing %s; waiting until it is done", path)
        fcntl.flock(number, fcntl.LOCK_EX)


def _is_same(number: int, lock: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(number), lock.stat())
    except FileNotFoundError:
        return False
