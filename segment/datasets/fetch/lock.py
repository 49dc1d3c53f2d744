"""One process at a time."""

import errno
import glob
import logging
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

log = logging.getLogger(__name__)

NOTES = (".sha256", ".part.json")  # small files that go with a download

try:
    import fcntl
except ImportError:  # Windows: two writers there are not kept apart
    fcntl = None  # type: ignore[assignment]


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Keep other processes from writing `path` while the block runs; wait for one that does, and say so.

    The system frees the lock of a process that dies; what such a process left half written beside the path is removed.
    So is, at the end, the lock file `.<name>.lock`.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    lock = path.with_name(f".{path.name}.lock")
    number = _lock(lock, path)
    try:
        _sweep(path)
        yield
    finally:
        lock.unlink(missing_ok=True)
        os.close(number)


def _sweep(path: Path) -> None:
    """Remove what `segment.files.atomic_write` was writing: nobody else does while this process has the lock."""
    for left in path.parent.glob(f".????????.{glob.escape(path.name)}*"):
        if left.name[10:] not in (path.name, *(path.name + end for end in NOTES)):
            continue  # of a longer name
        if left.is_dir():
            shutil.rmtree(left)
        else:
            left.unlink()


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
