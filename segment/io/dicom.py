"""Read a CT from a folder of DICOM files: list its series, choose one, and stack the slices into a volume."""

import logging
import math
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from pydicom.dataset import Dataset

from segment.errors import UserError
from segment.io.advice import FOR_DATA_SETS, Advice
from segment.io.dicom_file import CT, ENHANCED, is_axial, kind, read_header, read_hu, read_slice
from segment.io.grid import check_geometry
from segment.io.printable import printable
from segment.io.scan import Scan, as_ct, geometry_header
from segment.io.series import check_regular, is_regular, stack_slices
from segment.io.straighten import straighten_stack
from segment.memory.measure import check_memory

log = logging.getLogger(__name__)

AXIAL, OTHER_PLANE = "axial", "not axial"
CTS = (AXIAL, OTHER_PLANE)  # the kinds of series that can be read

Groups = Mapping[tuple[str, str], Sequence[tuple[Path, Dataset]]]  # (path, header) by (series UID, kind)


@dataclass(frozen=True)
class Series:
    """The files of one kind in one series.

    A series can appear twice, for example with its slices and its localizer.

    Attributes:
        uid: Series Instance UID.
        description: Series Description, as typed at the scanner.
        slices: Number of files.
        kind: `axial` or `not axial` for a CT that can be read. Otherwise what the files contain instead, for example
            `localizer`, `secondary capture`, `enhanced CT` or `MR`.
    """

    uid: str
    description: str
    slices: int
    kind: str

    def __str__(self) -> str:
        """UID, description, size and kind: what a user needs to choose a series."""
        return f"{self.uid} ({self.description or 'no description'}, {self.slices} slices, {self.kind})"


def kinds(files: Iterable[Path]) -> Iterator[tuple[Path, str]]:
    """Yield each DICOM image among the files with its kind. Files are read lazily, one at a time.

    A damaged file counts as a CT, so that the damage is reported when its folder is read.
    """
    for path in files:
        try:
            header = read_header(path)
        except UserError:
            yield path, CT
            continue
        if header is not None:
            yield path, kind(header)


class SeriesFolder:
    """A folder that may contain several series and other files. Every header is read once.

    Args:
        path: The folder.
        recursive: Whether to include files in subfolders.
        advice: Remedies for errors.

    Attributes:
        series: All series, the one with the most slices first.

    Raises:
        UserError: When a DICOM file is damaged.
    """

    def __init__(self, path: Path, recursive: bool = True, advice: Advice = FOR_DATA_SETS) -> None:
        self.path = path
        self.advice = advice
        self._groups = _group_headers(path.rglob("*") if recursive else path.iterdir())
        self.series = _list_series(self._groups)

    def choose(self, uid: str | None = None) -> Series:
        """Return the CT series that `read` reads.

        Args:
            uid: Series Instance UID. None chooses the axial CT with the most slices.

        Raises:
            UserError: When no series matches, or several of the same size do.
        """
        return _choose(self.series, self.path, uid, self.advice.choose)

    def files(self, uid: str) -> list[Path]:
        """Return the files of a CT series; none if the folder has no such series."""
        return [path for path, _ in self._groups.get((uid, CT), ())]

    def read(self, uid: str | None = None, straighten: bool = False) -> Scan:
        """Read one CT series in HU.

        Args:
            uid: Series Instance UID. None reads the axial CT with the most slices; localizers and secondary captures do
                not count.
            straighten: Whether to resample a tilted or unevenly spaced series linearly. Otherwise it is an error.

        Raises:
            UserError: When no series matches or several of the same size do, and when the slices are damaged or do not
                form a regular volume.
        """
        files = self._groups[self.choose(uid).uid, CT]
        stack = stack_slices([read_slice(path, header) for path, header in files], self.path)
        check_geometry(self.path, stack.affine)
        if not straighten:
            check_regular(stack, self.path, self.advice.straighten)
        shape = (*stack.slices[0].shape, len(stack.slices))
        what = f"{self.path} has {'x'.join(map(str, shape))} voxels, and reading it"
        check_memory(8 * math.prod(shape), what, "check the headers of its slices")  # float32, and a copy in HU
        values = np.empty(shape, np.float32, order="F")
        for k, ct_slice in enumerate(stack.slices):
            values[..., k] = read_hu(ct_slice)
        affine, regular = stack.affine, is_regular(stack)
        if not regular:
            values, affine = straighten_stack(values, stack)
        header = geometry_header(values.shape, affine)
        ordered = tuple(one.path for one in stack.slices)
        return as_ct(self.path, Scan(values, affine, header, values.shape, is_straightened=not regular, files=ordered))


def _group_headers(paths: Iterable[Path]) -> Groups:
    """Read the headers of all DICOM images, grouped by series and kind.

    Hidden files are skipped: file systems leave them behind, for example `._0001.dcm` from macOS.
    """
    groups = defaultdict(list)
    for path in sorted(path for path in paths if path.is_file() and not path.name.startswith(".")):
        header = read_header(path)
        if header is not None:
            groups[str(header.SeriesInstanceUID), kind(header)].append((path, header))
    return groups


def _list_series(groups: Groups) -> list[Series]:
    """Describe each group as a series, the largest first."""
    series = []
    for (uid, group_kind), files in groups.items():
        if group_kind == CT:
            group_kind = AXIAL if any(is_axial(header) for _, header in files) else OTHER_PLANE
        description = printable(files[0][1].get("SeriesDescription", ""))
        series.append(Series(uid, description, len(files), group_kind))
    return sorted(series, key=lambda s: (-s.slices, s.uid))


def _choose(series: Sequence[Series], folder: Path, uid: str | None, choose: str) -> Series:
    """Return the series with this UID, or the largest axial CT.

    Args:
        series: All series of the folder, the largest first.
        folder: The folder, for messages.
        uid: Series Instance UID, or None.
        choose: How to choose a series, for messages.
    """
    if uid is None:
        matches = [s for s in series if s.kind == AXIAL]
    else:
        matches = [s for s in series if s.kind in CTS and s.uid == uid]
    if not matches:
        raise _no_match(series, folder, uid, choose)
    largest = [s for s in matches if s.slices == matches[0].slices]
    if len(largest) > 1:
        msg = f"{folder} holds {len(largest)} axial CT series of the same size: {_names(largest)}; {choose}"
        raise UserError(msg)
    if len(matches) > 1:
        log.warning(
            "%s holds %d axial CTs; reading the one with the most slices, %s; for another, %s",
            folder,
            len(matches),
            largest[0].uid,
            choose,
        )
    return largest[0]


def _no_match(series: Sequence[Series], folder: Path, uid: str | None, choose: str) -> UserError:
    wanted = "axial CT series" if uid is None else f"CT series {uid}"
    if any(s.kind in CTS for s in series):
        remedy = choose
    elif any(s.kind == ENHANCED for s in series):
        remedy = "convert multi-frame files to NIfTI"
    elif series:
        remedy = "give a folder with a CT"
    else:
        remedy = "check the path"
    return UserError(f"no {wanted} with one slice per file in {folder}, which holds {_names(series)}; {remedy}")


def _names(series: Sequence[Series]) -> str:
    return ", ".join(map(str, series[:8])) or "no DICOM images at all"
