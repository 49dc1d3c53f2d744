"""Files of an input or a data set that are not used, with the reason."""

import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from segment.io.scan import SUFFIXES, has_suffix

_TWO_FILES = "its header and voxels are separate files, which are not supported; convert it to .nii.gz or .mha"
_FORMAT = "an unsupported format; convert it to .nii.gz"
_ARCHIVE = "an archive or compressed file; unpack it"
_NOT_READ = {
    (".mhd", ".raw", ".zraw", ".hdr", ".img", ".hdr.gz", ".img.gz", ".nhdr", ".raw.gz"): _TWO_FILES,
    (".mgz", ".mgh", ".mnc", ".vtk", ".vti", ".gipl", ".gipl.gz", ".nia", ".npy", ".npz", ".h5", ".hdf5"): _FORMAT,
    (".tif", ".tiff"): _FORMAT,
    (".zip", ".tar", ".tgz", ".gz", ".bz2", ".xz", ".zst", ".7z", ".rar"): _ARCHIVE,
}
COMPANION = "neither a volume nor DICOM"
UNUSED = "belongs to no case of this data set"
SHOWN = 3  # names in one line


@dataclass(frozen=True)
class LeftOut:
    """A file, folder or DICOM series that is not used.

    Attributes:
        name: Its path below the input or the data set. For a series, its folder and its description.
        reason: Why it is not used, and what the user can do about it, if anything.
        is_expected: Whether a documented rule or an option of the user leaves it out, so that no action is needed.
    """

    name: str
    reason: str
    is_expected: bool = False


def left_out_by_suffix(name: str) -> LeftOut:
    """Describe a file that is not a volume: an image in another format, an archive, or an accompanying file."""
    for suffixes, reason in _NOT_READ.items():
        if has_suffix(name, *suffixes):
            return LeftOut(name, reason)
    return LeftOut(name, COMPANION, is_expected=True)


def group_by_reason(left_out: Iterable[LeftOut]) -> list[list[LeftOut]]:
    """Group files by reason. Groups that need action come first, then larger groups before smaller ones."""
    groups: dict[tuple[bool, str], list[LeftOut]] = {}
    for one in left_out:
        groups.setdefault((one.is_expected, one.reason), []).append(one)
    return sorted(groups.values(), key=lambda group: (group[0].is_expected, -len(group)))


def describe_group(group: Sequence[LeftOut]) -> str:
    """Describe a group from `group_by_reason` in one line: its size, the first names, and the reason."""
    names = ", ".join(one.name for one in group[:SHOWN])
    more = f" and {len(group) - SHOWN} more" if len(group) > SHOWN else ""
    return f"{len(group)} left out ({names}{more}): {group[0].reason}"


def files_below(top: Path) -> Iterator[Path]:
    """Yield all files in a folder and its subfolders, sorted by folder.

    Hidden files are skipped. Links are followed, and each folder is visited once, so loops of links are harmless.
    """
    seen: set[str] = set()
    for folder, folders, names in os.walk(top, followlinks=True):
        real = os.path.realpath(folder)
        if real in seen:
            folders.clear()
            continue
        seen.add(real)
        folders[:] = sorted(name for name in folders if not name.startswith((".", "__")))
        yield from (Path(folder) / name for name in sorted(names) if not name.startswith("."))


def find_unused(
    root: Path, folders: Iterable[Path], used: Iterable[Path], why: Callable[[Path], str | None]
) -> list[LeftOut]:
    """List the files in folders of a data set that belong to no case.

    Args:
        root: The data set's folder. Names are relative to it; of a file elsewhere, only the last part is shown.
        folders: Folders to search, with their subfolders. A folder that does not exist contains nothing.
        used: Files, and folders of DICOM series, of all cases.
        why: Returns what is wrong with a volume or DICOM file and what to do about it. An empty string means that the
            layout allows the file there. None means that it belongs to a case that is refused, so it is not listed.
    """
    known = set(used)
    left_out = []
    for folder in folders:
        for path in files_below(folder):
            if not known.isdisjoint((path, *path.parents)):
                continue
            name = (path.relative_to(root) if path.is_relative_to(root) else Path(path.name)).as_posix()
            if not has_suffix(name, *SUFFIXES, ".dcm"):
                left_out.append(left_out_by_suffix(name))
                continue
            reason = why(path)
            if reason is not None:
                left_out.append(LeftOut(name, reason or UNUSED, is_expected=not reason))
    return left_out
