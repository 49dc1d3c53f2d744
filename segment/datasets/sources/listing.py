"""Find the files of a data set and pair images with labels."""

from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

from segment.datasets.cases import Case, Refused
from segment.errors import UserError
from segment.io.dicom_seg import SEG_SUFFIX
from segment.io.left_out import files_below
from segment.io.scan import SUFFIXES, case_name, has_suffix


def check_unpacked(root: Path) -> None:
    """Check that a data set's folder exists.

    Raises:
        UserError: When it does not, or is not a folder.
    """
    if not root.is_dir():
        msg = (
            f"no such folder: {root}; set the data set's root to the folder that its archive was unpacked into, or "
            "get a public set with segment prepare"
        )
        raise UserError(msg)


def check_declared(codes: Mapping[str, object] | None, source: str, root: Path, where: Path) -> None:
    """Check that the codes of label files are declared.

    Args:
        codes: Codes of every structure, by name. Empty if the user only asks which codes there are.
        source: Name of the data set in the configuration.
        root: Its folder.
        where: Folder of the label files.

    Raises:
        UserError: When codes is None.
    """
    if codes is None:
        msg = (
            f"no value for data.sources.{source}.label_codes, which states what the codes in {where} mean; list them "
            f"with segment doctor data={source} data.sources.{source}.root={root}"
        )
        raise UserError(msg)


def inner_root(root: Path, inside: str) -> Path:
    """The folder that contains `inside`, a glob: the root, or its only subfolder, or that folder's only subfolder, etc.

    Unzipping an archive often adds such a folder. Without a match the root is returned, as for an `inside` of ".".

    Raises:
        UserError: When the root does not exist.
    """
    if not root.is_dir():
        msg = (
            f"no such folder: {root}; set the data set's root to the folder that holds {inside}, or get a public set "
            "with segment prepare"
        )
        raise UserError(msg)
    if Path(inside) == Path():
        return root
    folder = root
    while not any(folder.glob(inside)):
        folders = [path for path in folder.iterdir() if path.is_dir() and not is_system_file(path, root)]
        if len(folders) != 1:
            return root
        folder = folders[0]
    return folder


def is_system_file(path: Path, root: Path) -> bool:
    """Whether an operating system created a file or folder: hidden ones, and the __MACOSX of archives made on a Mac."""
    return any(part.startswith((".", "__")) for part in path.relative_to(root).parts)


def refuse(refused: Refused | None, case: str, reason: str) -> None:
    """Record that a case cannot be listed, or raise if there is no list to record it in.

    Args:
        refused: The list, as in `Source.cases`.
        case: The case's id.
        reason: What is wrong, and what to do.
    """
    error = UserError(reason)
    if refused is None:
        raise error
    refused.append((case, error))


def build_cases(
    source: str, names: Iterable[str], refused: Refused | None, case_of: Callable[[str], Case]
) -> list[Case]:
    """Call `case_of` for every name. Names for which it raises a UserError are added to `refused`.

    Raises:
        UserError: When `case_of` raises it and `refused` is None.
    """
    cases = []
    for name in names:
        try:
            cases.append(case_of(name))
        except UserError as error:
            if refused is None:
                raise
            refused.append((f"{source}/{name}", error))
    return cases


def find_volumes(
    source: str,
    folder: Path,
    refused: Refused | None,
    suffix: str = "",
    suffix_option: str = "",
    series: bool = False,
    seg: bool = False,
) -> dict[str, Path]:
    """Volumes in a folder, by the name of the case. Subfolders are not searched.

    Args:
        source: Name of the data set.
        folder: The folder.
        refused: Receives names without the suffix, and cases with two volumes; the first volume is returned.
        suffix: End of the file names, after the case's name, for example `_0000`.
        suffix_option: The option that sets the suffix, if there is one.
        series: Whether to accept a DICOM series: a subfolder that contains files but no volumes.
        seg: Whether to accept DICOM segmentation objects.

    Raises:
        UserError: When the folder does not exist or contains no volumes. Also, if `refused` is None, when a name lacks
            the suffix or a case has two volumes.
    """
    if not folder.is_dir():
        msg = f"no such folder: {folder}; a data set needs {folder.name}/ with one file per case in it"
        raise UserError(msg)
    found: dict[str, Path] = {}
    for path in sorted(folder.iterdir()):
        if is_system_file(path, folder):
            continue
        is_seg = has_suffix(path, SEG_SUFFIX)
        if not _is_volume(path, series) and not (seg and is_seg):
            continue
        name = path.name[: -len(SEG_SUFFIX)] if is_seg else case_name(path)
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


def match_pairs(
    source: str, images: Mapping[str, Path], labels: Mapping[str, Path], root: Path, refused: Refused | None
) -> list[str]:
    """Sorted names that have both an image and a label; the others are added to `refused`.

    Raises:
        UserError: When `refused` is None and a name has only one of them.
    """
    for present, required, what, other in ((images, labels, "image", "label"), (labels, images, "label", "image")):
        unpaired = sorted(set(present) - set(required))
        if unpaired and refused is None:
            names = first_five(present[name].name for name in unpaired)
            msg = f"{len(unpaired)} {what}(s) without {other} in {root}: {names}; add the {other} or remove the {what}"
            raise UserError(msg)
        for name in unpaired:
            msg = f"the {what} {present[name].name} in {root} has no {other}; add the {other} or remove the {what}"
            refuse(refused, f"{source}/{name}", msg)
    return sorted(set(images) & set(labels))


def first_five(names: Iterable[str]) -> str:
    """The first five names, separated by commas, with `…` if there are more."""
    every = list(names)
    return ", ".join(every[:5]) + (" …" if len(every) > 5 else "")


def _is_volume(path: Path, series: bool) -> bool:
    if path.is_dir():
        files = list(files_below(path))
        return series and bool(files) and not any(map(has_suffix, files))
    return has_suffix(path)
