"""Free space on the disk."""

import errno
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from segment.errors import UserError

FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


def check_space(folder: Path, needed: int) -> None:
    """Check that enough space is free.

    Args:
        folder: An existing folder on the disk in question.
        needed: Bytes.

    Raises:
        UserError: When fewer bytes are free.
    """
    free = shutil.disk_usage(folder).free
    if free < needed:
        msg = f"{needed / 1e9:.1f} GB are needed in {folder}, but {free / 1e9:.1f} GB are free; make room"
        raise UserError(msg)


@contextmanager
def explain_full_disk(path: Path) -> Iterator[None]:
    """Turn the error of a full disk into a UserError while the block writes `path`.

    Raises:
        UserError: When the disk becomes full.
    """
    try:
        yield
    except OSError as error:
        if error.errno not in FULL:
            raise
        msg = f"no room is left for {path} ({error.strerror}); make room and run the same command again"
        raise UserError(msg) from error
