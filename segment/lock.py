"""Exclusive locks on files. The operating system releases them when a process ends, however it ends."""

import errno
import os
from pathlib import Path

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]

HAS_LOCKS = fcntl is not None
HELD = (errno.EWOULDBLOCK, errno.EACCES)
# The errors of file systems without `flock`, for example NFS without its lock service.
UNSUPPORTED = (errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP, errno.EINVAL)


class NoLocksError(OSError):
    """The operating system or the file system has no locks."""


def acquire(path: Path, wait: bool = False) -> int | None:
    """Lock a file, which is created if it is missing.

    The lock lasts until the returned descriptor is closed in every process that has it. A child process that inherits
    the descriptor therefore holds the lock, too.

    Args:
        path: The file; its content is ignored.
        wait: Whether to wait while another process holds the lock.

    Returns:
        An open file descriptor; None if another process holds the lock.

    Raises:
        NoLocksError: When the operating system or the file system has no locks; no file is left then.
    """
    if not HAS_LOCKS:
        raise NoLocksError(errno.ENOSYS, "the operating system has no file locks")
    while True:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
        try:
            is_locked = _flock(descriptor, wait)
            if is_locked and _is_at(descriptor, path):
                return descriptor
        except NoLocksError:
            os.close(descriptor)
            path.unlink(missing_ok=True)
            raise
        except BaseException:
            os.close(descriptor)
            raise
        os.close(descriptor)
        if not is_locked:
            return None
        # The previous holder removed the file after it was opened here: lock the new one.


def release(descriptor: int, path: Path) -> None:
    """Remove a file that `acquire` locked, then release the lock.

    If someone else removed the file, the one at `path` may be locked by another process, so it is kept.
    """
    try:
        if _is_at(descriptor, path):
            path.unlink()
    finally:
        os.close(descriptor)


def _flock(descriptor: int, wait: bool) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX if wait else fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        if error.errno in HELD:
            return False
        if error.errno in UNSUPPORTED:
            raise NoLocksError(error.errno, error.strerror) from error
        raise
    return True


def _is_at(descriptor: int, path: Path) -> bool:
    """Whether the open file is still the one at `path`."""
    try:
        return os.path.samestat(os.fstat(descriptor), path.stat())
    except FileNotFoundError:
        return False
