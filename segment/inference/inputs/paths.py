"""The paths that are given to `segment predict`, and the folder that they share."""

import glob
import os
from collections.abc import Sequence
from pathlib import Path

from segment.errors import UserError
from segment.io.scan import SUFFIXES


def shared_folder(given: Sequence[str], matches: Sequence[Path]) -> Path:
    """The folder below which names of masks start; all that was found lies in it.

    Args:
        given: Paths and globs. What stands before the first special character of a glob is a part of the names, but for
            what `..` after it leaves.
        matches: What they name.
    """
    folders = [_folder(one) for one in given] + [absolute(path if path.is_dir() else path.parent) for path in matches]
    return Path(os.path.commonpath(folders)) if folders else Path()


def _folder(pattern: str) -> str:
    """The folder below which names of masks start: of a glob, what stands before its first special character."""
    path = Path(pattern)
    if not path.exists():
        parts = path.parts
        fixed = next((n for n, part in enumerate(parts) if glob.has_magic(part)), len(parts) - 1)
        path = Path(*parts[:fixed])
    elif path.is_file():
        path = path.parent
    return absolute(path)


def absolute(path: Path) -> str:
    """A path from the root, with links as the user sees them."""
    return os.path.abspath(path)  # noqa: PTH100


def matching(pattern: str) -> list[Path]:
    """What a path or a glob names.

    Raises:
        UserError: When that is nothing.
    """
    if pattern and Path(pattern).exists():
        return [Path(pattern)]
    found = [Path(path) for path in sorted(glob.glob(pattern, recursive=True))]  # noqa: PTH207  # may be absolute
    if not found:
        raise UserError(no_ct(pattern))
    return found


def no_ct(given: str) -> str:
    """What an error states when nothing there may be a CT."""
    return f"no CT at input={given}; name a file, a folder or a glob of {', '.join(SUFFIXES)} or DICOM series"
