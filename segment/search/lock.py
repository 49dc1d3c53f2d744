"""The locks and the journal of a search."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from optuna.storages.journal import JournalFileBackend, JournalStorage

from segment.errors import UserError
from segment.lock import HAS_LOCKS, NoLocksError, acquire


def hold(path: Path, wait: bool = False) -> int | None:
    """Lock a file; see `segment.lock.acquire`.

    Raises:
        UserError: When the operating system or the file system has no locks.
    """
    if not HAS_LOCKS:
        msg = "sweeps and curves need file locks, which Windows lacks; use WSL, or run a grid with `segment train -m`"
        raise UserError(msg)
    try:
        return acquire(path, wait)
    except NoLocksError as error:
        msg = (
            f"{path.parent} cannot hold a sweep or a curve: its file system has no locks ({error.strerror}); "
            "put it on another one with hydra.run.dir=<folder>"
        )
        raise UserError(msg) from error


@contextmanager
def held(path: Path) -> Iterator[None]:
    """Wait for a file's lock and hold it while the block runs."""
    descriptor = hold(path, wait=True)
    assert descriptor is not None
    try:
        yield
    finally:
        os.close(descriptor)


class JournalLock:
    """Lets only one process at a time write to a journal, and removes a last line that is incomplete.

    Optuna's own locks are files that remain when a process is killed. This lock ends with the process.

    Args:
        journal: The journal's path.
    """

    def __init__(self, journal: Path) -> None:
        self.journal = journal
        self.descriptor: int | None = None

    def acquire(self) -> bool:
        """Wait for the lock."""
        self.descriptor = hold(self.journal.with_name(".journal.lock"), wait=True)
        _drop_partial_line(self.journal)
        return True

    def release(self) -> None:
        """Release the lock."""
        if self.descriptor is not None:
            os.close(self.descriptor)
            self.descriptor = None


def open_journal(path: Path) -> JournalStorage:
    """Open the journal in a file, which is created if it is missing."""
    return JournalStorage(JournalFileBackend(str(path), JournalLock(path)))  # type: ignore[arg-type]  # not exported


def _drop_partial_line(path: Path) -> None:
    """Remove an incomplete last line, for example after the disk was full. Optuna cannot read a journal with one."""
    content = path.read_bytes()
    if content and not content.endswith(b"\n"):
        os.truncate(path, content.rfind(b"\n") + 1)
