"""Files in a data set's folders that belong to no case."""

from collections.abc import Iterable, Sequence
from pathlib import Path

from segment.datasets.cases import Case
from segment.io.left_out import LeftOut, find_unused


def find_unpaired(
    root: Path, folders: Sequence[Path], cases: Iterable[Case], optional: Path | None = None
) -> list[LeftOut]:
    """Files in the folders of images and labels that `find_volumes` skips: in other formats, or in subfolders.

    Args:
        root: The data set's folder.
        folders: Folders of images and of labels.
        cases: All cases.
        optional: Another folder, whose files may belong to no case in this layout.
    """

    def reason(path: Path) -> str | None:
        if path.parent in folders:
            return None
        if optional is not None and optional in path.parents:
            return ""
        return f"in the folder {path.parent.name}, where this layout expects no files; move it up"

    searched = [*folders, optional] if optional else folders
    return find_unused(root, searched, case_files(cases), reason)


def case_files(cases: Iterable[Case]) -> list[Path]:
    """All files of some cases; for a DICOM series, its folder."""
    files: list[Path] = []
    for case in cases:
        files += [case.image, *case.label.files]
        if case.tissues is not None:
            files.append(case.tissues)
    return files
