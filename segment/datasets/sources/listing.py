"""Which files there are, whose they are, and which belong together."""

import re
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

from segment.datasets.cases import Case, Refused
from segment.errors import UserError
from segment.io.dicom_seg import SEG_SUFFIX
from segment.io.left_out import files_below
from segment.io.scan import SUFFIXES, case_name, has_suffix


def check_unpacked(root: Path) -> None:
    """Refuse a root that is not there.

    Raises:
        UserError: When it is no folder.
    """
    if not root.is_dir():
        msg = (
            f"no such folder: {root}; set the data set's root to the folder that its archive was unpacked into, or "
            "get a public set by segment prepare"
        )
        raise UserError(msg)


def check_declared(codes: Mapping[str, object] | None, source: str, root: Path, where: Path) -> None:
    """Refuse label files whose codes nobody has declared.

    Args:
        codes: Of every structure, by name; an empty mapping for those who want to list what is there.
        source: Name of the data set in the configuration.
        root: Its root.
        where: Folder of the label files.

    Raises:
        UserError: When codes is None.
    """
    if codes is None:
        msg = (
            f"no value for data.sources.{source}.label_codes, which states what the codes in {where} mean; list them "
            f"by segment doctor data={source} data.sources.{source}.root={root}"
        )
        raise UserError(msg)


def unwrapped(root: Path, inside: str) -> Path:
    """The folder that holds `inside`, a glob: the root, or the one folder in it, and so on, as unzipping leaves it.

    Raises:
        UserError: When there is no such root.
    """
    if not root.is_dir():
        msg = (
            f"no such folder: {root}; set the data set's root to the folder that holds {inside}, or get a public set "
            "by segment prepare"
        )
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


def refuse(refused: Refused | None, case: str, reason: str, cause: Exception | None = None) -> None:
    """Note that a case cannot be listed; without a list for that, raise.

    Args:
        refused: The list, as of `Source.cases`.
        case: The case's id.
        reason: What is wrong, and what to do.
        cause: What it follows from.
    """
    error = UserError(reason)
    error.__cause__ = cause
    if refused is None:
        raise error
    refused.append((case, error))


def listed(source: str, names: Iterable[str], refused: Refused | None, case_of: Callable[[str], Case]) -> list[Case]:
    """The cases of some names; those that `case_of` refuses join `refused`, or raise without such a list."""
    cases = []
    for name in names:
        try:
            cases.append(case_of(name))
        except UserError as error:
            if refused is None:
                raise
            refused.append((f"{source}/{name}", error))
    return cases


def volumes(
    source: str,
    folder: Path,
    refused: Refused | None,
    suffix: str = "",
    suffix_option: str = "",
    series: bool = False,
    seg: bool = False,
) -> dict[str, Path]:
    """Volumes in a folder by case.

    Args:
        source: Name of the data set.
        folder: Searched without what lies below.
        refused: Takes names without the suffix, and cases with two volumes, of which the first is returned.
        suffix: What names carry after the case's name.
        suffix_option: The option that sets it, where there is one.
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
            remedy = "rename it" + (f" or set {suffix_option}" if suffix_option else "")
            msg = f"{path} does not end in {suffix!r} as this data set's images do; {remedy}"
            refuse(refused, f"{source}/{name}", msg)
            continue
        name = name.removesuffix(suffix)
        if name in found:
            msg = f"two files for the case {name!r}: {found[name].name} and {path.name} in {folder}; remove one"
            refuse(refused, f"{source}/{name}", msg)
            continue
        found[name] = path
    if not found and not refused:
        msg = f"no volumes in {folder}; expected files that end in {', '.join(SUFFIXES)}"
        raise UserError(msg)
    return found


def paired(
    source: str, images: Mapping[str, Path], labels: Mapping[str, Path], root: Path, refused: Refused | None
) -> list[str]:
    """Sorted names that have both an image and a label; the others are refused.

    Raises:
        UserError: Without a list of refused cases, naming the first of them.
    """
    for have, lack, what, other in ((images, labels, "image", "label"), (labels, images, "label", "image")):
        lonely = sorted(set(have) - set(lack))
        if lonely and refused is None:
            names = shown(have[name].name for name in lonely)
            msg = f"{len(lonely)} {what}(s) without {other} in {root}: {names}; add the {other} or remove the {what}"
            raise UserError(msg)
        for name in lonely:
            msg = f"the {what} {have[name].name} in {root} has no {other}; add the {other} or remove the {what}"
            refuse(refused, f"{source}/{name}", msg)
    return sorted(set(images) & set(labels))


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
        msg = f"{option} {pattern!r} is not a regular expression: {error}; correct it"
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
        msg = (
            f"patient_pattern {pattern.pattern!r} finds no patient in the name {name!r}; correct the pattern or "
            "rename the case"
        )
        raise UserError(msg)
    return match.group(1)


def _is_volume(path: Path, series: bool) -> bool:
    if path.is_dir():
        files = list(files_below(path))
        return series and bool(files) and not any(map(has_suffix, files))
    return has_suffix(path)
