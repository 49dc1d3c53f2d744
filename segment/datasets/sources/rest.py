"""Files in a data set's folders that belong to no case."""

from collections.abc import Iterable, Sequence
from pathlib import Path

from segment.datasets.cases import Case
from segment.io.left_out import LeftOut, unused


def unpaired(root: Path, folders: Sequence[Path], cases: Iterable[Case], optional: Path | None = None) -> list[LeftOut]:
    """Files in the folders of images and labels that `volumes` does not list: of other formats, or further below.

    Args:
        root: The data set's.
        folders: Folders of images and of labels.
        cases: All cases.
        optional: Another folder of images, which the layout allows to have no labels.
    """

    def why(path: Path) -> str | None:
        if path.parent in folders:
            return None
        is_optional = optional is not None and optional in path.parents
        return "" if is_optional else f"in the folder {path.parent.name}, where this layout has no files; move it up"

    return unused(root, [*folders, *([optional] if optional else [])], files_of(cases), why)


def files_of(cases: Iterable[Case]) -> list[Path]:
    """Files, and folders of DICOM series, of cases."""
    return [path for case in cases for path in (case.image, *case.label.files)]
