"""The lock of a run folder."""

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from segment.errors import UserError
from segment.lock import NoLocksError, acquire, release

LOCK = ".writing.lock"  # in a run folder; not `.lock`, which a search's worker passes to its training
PATIENCE_S = 10.0  # a killed process may take seconds to free its memory, and releases its locks only then
LOOK_S = 0.1

_not_for_children: set[int] = set()  # descriptors that forked children close


@contextmanager
def alone_in(folder: Path) -> Iterator[None]:
    """Let no other process write to a run folder while the block runs.

    Forked children do not hold the lock. If the system or the file system has no locks, the block runs unprotected.
    The lock file is removed at the end.

    Raises:
        UserError: When another process holds the lock for longer than `PATIENCE_S`.
    """
    descriptor = None
    with suppress(NoLocksError):
        descriptor = _acquire_soon(folder / LOCK)
    if descriptor is None:
        yield
        return
    _not_for_children.add(descriptor)
    try:
        yield
    finally:
        if descriptor in _not_for_children:  # false in a forked child
            _not_for_children.remove(descriptor)
            release(descriptor, folder / LOCK)


def _acquire_soon(path: Path) -> int:
    end = time.monotonic() + PATIENCE_S
    while True:
        descriptor = acquire(path)
        if descriptor is not None:
            return descriptor
        if time.monotonic() > end:
            msg = f"{path.parent} is being written by another process; wait for it, or choose another folder"
            raise UserError(msg)
        time.sleep(LOOK_S)


def _close_in_child() -> None:
    """Release the lock in forked children, e.g. a data loader's worker, which may outlive a killed parent."""
    for descriptor in _not_for_children:
        os.close(descriptor)
    _not_for_children.clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_close_in_child)
