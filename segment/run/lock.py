"""The lock of a run folder, which ends with the process that holds it, however it ends."""

import errno
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from segment.errors import UserError

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]

LOCK = ".writing.lock"  # in a run folder; not `.lock`, which a search's worker hands to its training
PATIENCE_S = 10.0  # a process that was killed takes seconds to give its memory back, and only then its locks
LOOK_S = 0.1
HELD_ELSEWHERE = (errno.EWOULDBLOCK, errno.EACCES)
NO_LOCKS = (errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP, errno.EINVAL)  # of some network file systems

_not_for_children: set[int] = set()


@contextmanager
def alone_in(folder: Path) -> Iterator[None]:
    """Be the only process that writes a run folder while the block runs; forked children do not hold it.

    Where the system or the file system has no locks, nothing is locked. The lock's file is gone afterwards.

    Raises:
        UserError: When another process writes there for longer than `PATIENCE_S`.
    """
    number = _hold_soon(folder / LOCK) if fcntl is not None else None
    if number is None:
        yield
        return
    _not_for_children.add(number)
    try:
        yield
    finally:
        if number in _not_for_children:  # not in a forked child
            if _is_same(number, folder / LOCK):  # else it was removed by hand, and the new one is another process's
                (folder / LOCK).unlink()
            _not_for_children.remove(number)
            os.close(number)


def _hold_soon(path: Path) -> int | None:
    """The number of the open, locked file; None where there are no locks."""
    end = time.monotonic() + PATIENCE_S
    while True:
        number = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
        try:
            fcntl.flock(number, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if _is_same(number, path):
                return number
            os.close(number)  # whoever held it has removed the file: lock the new one
        except OSError as error:
            os.close(number)
            if error.errno in NO_LOCKS:
                path.unlink(missing_ok=True)
                return None
            if error.errno not in HELD_ELSEWHERE:
                raise
            if time.monotonic() > end:
                msg = f"{path.parent} is being written by another process; wait for it, or choose another folder"
                raise UserError(msg) from error
            time.sleep(LOOK_S)


def _is_same(number: int, path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(number), path.stat())
    except FileNotFoundError:
        return False


def _let_go() -> None:
    """Of a data loader's worker, say, which may outlive a process that was killed."""
    for number in _not_for_children:
        os.close(number)
    _not_for_children.clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_let_go)
