"""What lies under an input or a data set and is not used, with the reason."""

import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from segment.io.scan import SUFFIXES, has_suffix

_TWO_FILES = "its voxels and its header are two files, which are not read; convert it to .nii.gz or .mha"
_FORMAT = "a format that is not read; convert it to .nii.gz"
_ARCHIVE = "an archive or compressed file; unpack it"
_NOT_READ = {
    (".mhd", ".raw", ".zraw", ".hdr", ".img", ".hdr.gz", ".img.gz", ".nhdr", ".raw.gz"): _TWO_FILES,
    (".mgz", ".mgh", ".mnc", ".vtk", ".vti", ".gipl", ".gipl.gz", ".nia", ".npy", ".npz", ".h5", ".hdf5"): _FORMAT,
    (".tif", ".tiff"): _FORMAT,
    (".zip", ".tar", ".tgz", ".gz", ".bz2", ".xz", ".zst", ".7z", ".rar"): _ARCHIVE,
}
COMPANION = "neither a volume nor DICOM"
UNUSED = "belongs to no case of this data set"
SHOWN = 3  # names in a line


@dataclass(frozen=True)
class LeftOut:
    """A file, folder or DICOM series that is not used.

    Attributes:
        name: Its path below the input or the data set; of a series, its folder and what describes it.
        reason: Why, and what to do where something can be done.
        is_expected: Whether a rule leaves it out that the user knows or has set, so that nothing needs to be done.
    """

    name: str
    reason: str
    is_expected: bool = False


def of_other_format(name: str) -> LeftOut:
    """A file that is no volume by its suffix: an image in a format that is not read, an archive, or a companion."""
    for suffixes, reason in _NOT_READ.items():
        if has_suffix(name, *suffixes):
            return LeftOut(name, reason)
    return LeftOut(name, COMPANION, is_expected=True)


def grouped(left_out: Iterable[LeftOut]) -> list[list[LeftOut]]:
    """Those of one reason together; first where the user may want to do something, then by number."""
    groups: dict[tuple[bool, str], list[LeftOut]] = {}
    for one in left_out:
        groups.setdefault((one.is_expected, one.reason), []).append(one)
    return [group for _, group in sorted(groups.items(), key=lambda item: (item[0][0], -len(item[1])))]


def line(group: Sequence[LeftOut]) -> str:
    """A group of one reason as a line of text."""
    names = ", ".join(one.name for one in group[:SHOWN])
    more = f" and {len(group) - SHOWN} more" if len(group) > SHOWN else ""
    return f"{len(group)} left out ({names}{more}): {group[0].reason}"


def files_below(top: Path) -> Iterator[Path]:
    """All files in a folder and below, sorted by folder, but for hidden ones; links are followed, each folder once."""
    seen: set[str] = set()
    for folder, folders, names in os.walk(top, followlinks=True):
        real = os.path.realpath(folder)
        folders[:] = [] if real in seen else sorted(name for name in folders if not name.startswith((".", "__")))
        if real not in seen:
            yield from (Path(folder) / name for name in sorted(names) if not name.startswith("."))
        seen.add(real)


def unused(
    root: Path, folders: Iterable[Path], used: Iterable[Path], why: Callable[[Path], str | None]
) -> list[LeftOut]:
    """Files in folders of a data set that belong to no case.

    Args:
        root: The data set's; names start below it.
        folders: Those to look in, with all that lies below; one that is not there holds nothing.
        used: Files, and folders of DICOM series, of all cases.
        why: What is wrong with a volume or a DICOM file, and what to do; empty if the layout allows it there, None if
            it belongs to a case that is refused.
    """
    known = set(used)
    left_out = []
    for path in (path for folder in folders for path in files_below(folder)):
        if known.isdisjoint((path, *path.parents)):
            name = path.relative_to(root).as_posix()
            if not has_suffix(name, *SUFFIXES, ".dcm"):
                left_out.append(of_other_format(name))
            elif (reason := why(path)) is not None:
                left_out.append(LeftOut(name, reason or UNUSED, is_expected=not reason))
    return left_out
