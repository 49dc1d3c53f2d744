"""Locks that end with the process that holds them, however it ends."""

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from optuna.storages.journal import JournalFileBackend, JournalStorage

from segment.errors import UserError

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]

# What a file system without `flock` answers, such as NFS without its lock service or Lustre mounted without it.
LOCKLESS = (errno.ENOLCK, errno.ENOSYS, errno.ENOTSUP, errno.EOPNOTSUPP)


def hold(path: Path, wait: bool = False) -> int | None:
    """Lock a file, which is made if it is missing, until the returned number is closed in all processes that have it.

    A child process that inherits the number holds the lock, too.

    Args:
        path: The file; its content means nothing.
        wait: Whether to wait for another holder.

    Returns:
        An open file's number; None if the lock is held elsewhere.

    Raises:
        UserError: Where there are no such locks.
    """
    if fcntl is None:
        msg = "segment sweep needs locks that Windows lacks; use WSL, or grids by `segment train -m`"
        raise UserError(msg)
    number = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
    try:
        fcntl.flock(number, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
    except OSError as error:
        os.close(number)
        if error.errno in (errno.EWOULDBLOCK, errno.EACCES):
            return None
        if error.errno in LOCKLESS:
            msg = (
                f"{path.parent} cannot hold a sweep: its file system has no locks ({error.strerror}); "
                "put the sweep on another one by hydra.run.dir=<folder>"
            )
            raise UserError(msg) from error
        raise
    except BaseException:
        os.close(number)
        raise
    return number


@contextmanager
def held(path: Path) -> Iterator[None]:
    """Hold a file's lock while the block runs; wait for it."""
    number = hold(path, wait=True)
    assert number is not None
    try:
        yield
    finally:
        os.close(number)


class JournalLock:
    """Keeps writers of a journal apart and mends what one of them left half written.

    Optuna's own locks are files that outlive a killed process; here the next writer waits for nobody.

    Args:
        journal: The journal's path.
    """

    def __init__(self, journal: Path) -> None:
        self.journal = journal
        self.number: int | None = None

    def acquire(self) -> bool:
        """Wait for the lock."""
        self.number = hold(self.journal.with_name(".journal.lock"), wait=True)
        _cut_torn_line(self.journal)
        return True

    def release(self) -> None:
        """Give it back."""
        if self.number is not None:
            os.close(self.number)
            self.number = None


def open_journal(path: Path) -> JournalStorage:
    """The journal in a file, which is made if it is missing."""
    return JournalStorage(JournalFileBackend(str(path), JournalLock(path)))  # type: ignore[arg-type]  # not exported


def _cut_torn_line(path: Path) -> None:
    """Drop what stands behind the last line's end: a full disk or a power cut tore it, and readers would refuse all."""
    content = path.read_bytes()
    if content and not content.endswith(b"\n"):
        os.truncate(path, content.rfind(b"\n") + 1)
