"""Paths given to `segment predict`, and the folder that they share."""

import glob
import os
from collections.abc import Sequence
from pathlib import Path

from segment.errors import UserError
from segment.io.scan import SUFFIXES


def shared_folder(given: Sequence[str], matches: Sequence[Path]) -> Path:
    """The deepest folder that contains everything that was given or found. Names of masks are relative to it.

    For example, it is `scans` for `scans/*/ct.nii.gz`, and the mask of `scans/p1/ct.nii.gz` is `p1/ct_seg.nii.gz`.

    Args:
        given: Paths and globs. A glob counts with the part before its first special character.
        matches: The paths that they match. They may be outside of that part if a glob contains `..`.
    """
    folders = [_folder(pattern) for pattern in given]
    for path in matches:
        folders.append(absolute_path(path if path.is_dir() else path.parent))
    return Path(os.path.commonpath(folders)) if folders else Path()


def _folder(pattern: str) -> str:
    """The folder of a path, or of the part of a glob before its first special character."""
    path = Path(pattern)
    if not path.exists():
        parts = path.parts
        fixed = next((n for n, part in enumerate(parts) if glob.has_magic(part)), len(parts) - 1)
        path = Path(*parts[:fixed])
    elif path.is_file():
        path = path.parent
    return absolute_path(path)


def absolute_path(path: Path) -> str:
    """The absolute path. Unlike `Path.resolve`, it does not resolve links."""
    return os.path.abspath(path)  # noqa: PTH100


def match_paths(pattern: str) -> list[Path]:
    """The paths that a path or a glob matches.

    Raises:
        UserError: When there are none.
    """
    if pattern and Path(pattern).exists():
        return [Path(pattern)]
    found = [Path(path) for path in sorted(glob.glob(pattern, recursive=True))]  # noqa: PTH207  # may be absolute
    if not found:
        raise UserError(no_ct_message(pattern))
    return found


def no_ct_message(given: str) -> str:
    """The message of the error when an input contains nothing that may be a CT."""
    return f"no CT at {given}; name a file, a folder or a glob of {', '.join(SUFFIXES)} or DICOM series"
