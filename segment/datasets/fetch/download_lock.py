"""Let one process at a time write a download."""

import glob
import logging
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from segment.lock import NoLocksError, acquire, release

log = logging.getLogger(__name__)

COMPANIONS = ("", ".sha256", ".part.json")  # suffixes of the files that are written for one download


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Keep other processes from writing `path` while the block runs.

    If another process holds the lock, log a warning and wait. Once locked, remove the temporary files that a killed
    process left for `path`. The lock file `.<name>.lock` is removed at the end. Without locks, for example on Windows,
    the block runs unprotected.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    lock = path.with_name(f".{path.name}.lock")
    descriptor = None
    with suppress(NoLocksError):
        descriptor = acquire(lock)
        if descriptor is None:
            log.warning("another process is writing %s; waiting until it is done", path)
            descriptor = acquire(lock, wait=True)
    if descriptor is None:
        yield
        return
    try:
        _remove_leftovers(path)
        yield
    finally:
        release(descriptor, lock)


def _remove_leftovers(path: Path) -> None:
    """Remove temporary files of `segment.files.atomic_write`. Under the lock no other process can be writing them."""
    targets = [path.name + suffix for suffix in COMPANIONS]
    for leftover in path.parent.glob(f".????????.{glob.escape(path.name)}*"):
        if leftover.name[10:] not in targets:
            continue  # the temporary file of a target with a longer name
        if leftover.is_dir():
            shutil.rmtree(leftover)
        else:
            leftover.unlink()
