"""Find files by patterns of their paths."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from segment.io.left_out import files_below
from segment.io.scan import SUFFIXES


@dataclass(frozen=True)
class PathMatch:
    """A file that matches a pattern.

    Attributes:
        path: The file.
        folders: Names of the folders between the root and the part of the path that matches.
        case: What `{case}` stands for.
    """

    path: Path
    folders: list[str]
    case: str


def match_paths(root: Path, pattern: str) -> list[PathMatch]:
    """Find the files whose paths end in a pattern.

    For example, `images/{case}.nii.gz` matches the file `part1/images/a.nii.gz` with the folders `["part1"]` and the
    case `a`. The suffix may be in capitals.

    Args:
        root: Folder to search, with its subfolders.
        pattern: End of a path, with `{case}` once. `*` matches within a name.

    Returns:
        Sorted by path.
    """
    suffix = next((suffix for suffix in SUFFIXES if pattern.endswith(suffix)), "")
    escaped = re.escape(pattern.removesuffix(suffix))
    escaped = escaped.replace(r"\{case\}", "(?P<case>[^/]+)").replace(r"\*", "[^/]*")
    end = re.compile(f"(?P<above>(?:.*/)?){escaped}(?i:{re.escape(suffix)})")
    matches = []
    for path in sorted(files_below(root)):
        match = end.fullmatch(path.relative_to(root).as_posix())
        if match:
            matches.append(PathMatch(path, match["above"].split("/")[:-1], match["case"]))
    return matches


def shared_folders(folders: Sequence[list[str]]) -> list[str]:
    """The leading folders that all paths share.

    If all files are in one folder, its last level is not counted as shared, because it names the patient.

    Args:
        folders: Folders of every file, as in `PathMatch`.
    """
    # In sorted order, everything between the first and the last shares what these two share.
    first, last = min(folders, default=[]), max(folders, default=[])
    if first == last:
        return first[:-1]
    shared = []
    for one, other in zip(first, last, strict=False):
        if one != other:
            break
        shared.append(one)
    return shared
