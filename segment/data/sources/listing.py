"""Which files there are, whose they are, and which belong together."""

import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from segment.data.cases import Case
from segment.data.left_out import LeftOut, files_below, unused
from segment.data.readers.dicom_seg import SEG_SUFFIX
from segment.data.readers.scan import SUFFIXES, case_name, has_suffix
from segment.errors import UserError

NO_LABEL = "an image without a label; add the label under the image's name, or remove the image"
NO_IMAGE = "a label without an image; add the image under the label's name, or remove the label"


def check_unpacked(root: Path) -> None:
    """Refuse a root that is not there.

    Raises:
        UserError: When it is no folder.
    """
    if not root.is_dir():
        msg = f"no such folder: {root}; set the data set's root to the folder that its archive was unpacked into"
        raise UserError(msg)


def unwrapped(root: Path, inside: str) -> Path:
    """The folder that holds `inside`, a glob: the root, or the one folder in it, and so on, as unzipping leaves it.

    Raises:
        UserError: When there is no such root.
    """
    if not root.is_dir():
        msg = f"no such folder: {root}; set the data set's root to the folder that holds {inside}"
        raise UserError(msg)
    folder = root
    while not any(folder.glob(inside)):
        folders = [path for path in folder.iterdir() if path.is_dir() and not left_by_system(path, root)]
        if len(folders) != 1:
            return root
        folder = folders[0]
    return folder


def left_by_system(path: Path, root: Path) -> bool:
    """Whether a file or folder was left by an operating system: hidden, or __MACOSX of archives made on a Mac."""
    return any(part.startswith((".", "__")) for part in path.relative_to(root).parts)


def volumes(folder: Path, suffix: str = "", series: bool = False, seg: bool = False) -> dict[str, Path]:
    """Volumes in a folder by case.

    Args:
        folder: Searched without what lies below.
        suffix: What names carry after the case's name.
        series: Whether a folder that holds files, but no volumes, is a volume, too: a DICOM series.
        seg: Whether a DICOM segmentation object is one, too.

    Raises:
        UserError: When there is no such folder, it is empty, a name lacks the suffix, or a case has two volumes.
    """
    if not folder.is_dir():
        msg = f"no such folder: {folder}; a data set needs {folder.name}/ with one file per case in it"
        raise UserError(msg)
    paths = [path for path in sorted(folder.iterdir()) if not left_by_system(path, folder)]
    found: dict[str, Path] = {}
    for path in [p for p in paths if _is_volume(p, series) or (seg and has_suffix(p, SEG_SUFFIX))]:
        name = path.name[: -len(SEG_SUFFIX)] if has_suffix(path, SEG_SUFFIX) else case_name(path)
        if not name.endswith(suffix):
            msg = f"{path} does not end in {suffix!r} as this data set's images do; rename it or set image_suffix"
            raise UserError(msg)
        name = name.removesuffix(suffix)
        if name in found:
            msg = f"two files for the case {name!r}: {found[name].name} and {path.name} in {folder}; remove one"
            raise UserError(msg)
        found[name] = path
    if not found:
        msg = f"no volumes in {folder}; expected files that end in {', '.join(SUFFIXES)}"
        raise UserError(msg)
    return found


def paired(images: Mapping[str, Path], labels: Mapping[str, Path], root: Path) -> list[str]:
    """Names of the cases that have an image and a label, sorted; `lonely` names the other files.

    Raises:
        UserError: When there are images or labels, but no pair.
    """
    both = sorted(set(images) & set(labels))
    if not both and (images or labels):
        msg = (
            f"no image in {root} has a label: {len(images)} image(s), {shown(path.name for path in images.values())}, "
            f"and {len(labels)} label(s), {shown(path.name for path in labels.values())}; give both the same names"
        )
        raise UserError(msg)
    return both


def lonely(
    root: Path, images: Sequence[Path], labels: Sequence[Path], cases: Iterable[Case], optional: Sequence[Path] = ()
) -> list[LeftOut]:
    """Files in the folders of images and labels that belong to no case.

    Args:
        root: The data set's.
        images: Folders of images.
        labels: Folders of labels.
        cases: All cases.
        optional: Folders of images without labels, which the layout allows.
    """

    def why(path: Path) -> str:
        folder = next(parent for parent in path.parents if parent in {*images, *labels, *optional})
        if folder in optional:
            return ""
        if path.parent != folder:
            return f"in a folder below {folder.name}, where this layout has no files; move it up"
        return NO_LABEL if folder in images else NO_IMAGE

    return unused(root, [*images, *labels, *optional], files_of(cases), why)


def files_of(cases: Iterable[Case]) -> list[Path]:
    """Files, and folders of DICOM series, of cases."""
    return [path for case in cases for path in (case.image, *case.label.files)]


def shown(names: Iterable[str]) -> str:
    """The first five names."""
    every = list(names)
    return ", ".join(every[:5]) + (" …" if len(every) > 5 else "")


def pattern_of(option: str, pattern: str | None, groups: int) -> re.Pattern[str] | None:
    """A regular expression of the configuration, compiled; None stays None.

    Raises:
        UserError: When it is none, or has fewer groups than needed.
    """
    if pattern is None:
        return None
    try:
        compiled = re.compile(pattern)
    except re.error as error:
        msg = f"{option} {pattern!r} is not a regular expression: {error}; mend it"
        raise UserError(msg) from error
    if compiled.groups < groups:
        msg = f"{option} {pattern!r} has no group; put the part that names the patient in parentheses"
        raise UserError(msg)
    return compiled


def patient_of(name: str, pattern: re.Pattern[str] | None) -> str:
    """First group of a pattern at the start of a case's name; without pattern, the name.

    Raises:
        UserError: When the pattern finds none.
    """
    if pattern is None:
        return name
    match = pattern.match(name)
    if match is None or not match.group(1):
        msg = f"patient_pattern {pattern.pattern!r} finds no patient in the name {name!r}; mend it"
        raise UserError(msg)
    return match.group(1)


def _is_volume(path: Path, series: bool) -> bool:
    if path.is_dir():
        files = list(files_below(path))
        return series and bool(files) and not any(map(has_suffix, files))
    return has_suffix(path)
