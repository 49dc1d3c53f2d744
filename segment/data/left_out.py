"""What lies under an input or a data set and is not used, with the reason."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from segment.data.readers.scan import has_suffix

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
