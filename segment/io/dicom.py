"""CTs stored as DICOM: which files of a folder make one volume, and that volume."""

import logging
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
from segment.io.scan import Scan, as_ct, geometry_header
from segment.io.series import check_regular, is_regular, stacked
from segment.io.straighten import straightened

log = logging.getLogger(__name__)

AXIAL, OTHER_PLANE = "axial", "not axial"
CTS = (AXIAL, OTHER_PLANE)  # kinds of series that can be read

Groups = Mapping[tuple[str, str], Sequence[tuple[Path, Dataset]]]


@dataclass(frozen=True)
class Series:
    """The files of one kind in one series.

    Attributes:
        uid: Series Instance UID.
        description: Series Description, as typed at the scanner.
        slices: Number of files.
        kind: `axial` or `not axial`: a CT that can be read; else what it is instead, such as `localizer`,
            `secondary capture`, `enhanced CT` or `MR`.
    """

    uid: str
    description: str
    slices: int
    kind: str

    def __str__(self) -> str:
        """All that one needs to choose it."""
        return f"{self.uid} ({self.description or 'no description'}, {self.slices} slices, {self.kind})"


def kinds(files: Iterable[Path]) -> Iterator[tuple[Path, str]]:
    """The DICOM images among files with their kinds, each read when its turn comes.

    A damaged file counts as a CT, so that reading its folder reports the damage.
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
    """A folder that may hold several series and other files; every header is read once.

    Args:
        path: The folder.
        below: Whether files in folders below belong to it, too.
        advice: Remedies in errors.

    Attributes:
        series: All series, the one with most slices first.

    Raises:
        UserError: When a DICOM file is damaged.
    """

    def __init__(self, path: Path, below: bool = True, advice: Advice = FOR_DATA_SETS) -> None:
        self.path = path
        self.advice = advice
        self._groups = _grouped(path.rglob("*") if below else path.iterdir())
        self.series = _listed(self._groups)

    def chosen(self, uid: str | None = None) -> Series:
        """The CT series that `read` reads, by its UID; None: the axial CT with most slices.

        Raises:
            UserError: When no series or more than one fits.
        """
        return _chosen(self.series, self.path, uid, self.advice.choose)

    def read(self, uid: str | None = None, straighten: bool = False) -> Scan:
        """Read one CT series in HU.

        Args:
            uid: Series Instance UID; None: the axial CT with most slices, localizers and secondary captures left out.
            straighten: Straighten a gantry tilt and even out slice distances by linear interpolation, instead of
                refusing.

        Raises:
            UserError: When no series or more than one fits, or its slices are damaged or make no regular volume.
        """
        files = self._groups[self.chosen(uid).uid, CT]
        stack = stacked([read_slice(path, header) for path, header in files], self.path)
        check_geometry(self.path, stack.affine)
        if not straighten:
            check_regular(stack, self.path, self.advice.straighten)
        values = np.empty((*stack.slices[0].shape, len(stack.slices)), np.float32, order="F")
        for k, each in enumerate(stack.slices):
            values[..., k] = read_hu(each)
        affine, regular = stack.affine, is_regular(stack)
        if not regular:
            values, affine = straightened(values, stack)
        header = geometry_header(values.shape, affine)
        return as_ct(self.path, Scan(values, affine, header, values.shape, is_straightened=not regular))


def _grouped(paths: Iterable[Path]) -> Groups:
    """Headers of all DICOM images, by series and kind; hidden files, which file systems leave behind, are none."""
    groups = defaultdict(list)
    for path in sorted(path for path in paths if path.is_file() and not path.name.startswith(".")):
        header = read_header(path)
        if header is not None:
            groups[str(header.SeriesInstanceUID), kind(header)].append((path, header))
    return groups


def _listed(groups: Groups) -> list[Series]:
    series = []
    for (uid, what), files in groups.items():
        if what == CT:
            what = AXIAL if any(is_axial(header) for _, header in files) else OTHER_PLANE
        series.append(Series(uid, str(files[0][1].get("SeriesDescription", "")), len(files), what))
    return sorted(series, key=lambda s: (-s.slices, s.uid))


def _chosen(series: Sequence[Series], folder: Path, uid: str | None, choose: str) -> Series:
    """The series to read; an error ends with how to `choose` one."""
    fits = [s for s in series if (s.kind == AXIAL if uid is None else s.kind in CTS and s.uid == uid)]
    most = [s for s in fits if s.slices == fits[0].slices]
    if len(most) == 1:
        if len(fits) > 1:
            log.warning(
                "%s holds %d axial CTs; reading the one with most slices, %s; for another, %s",
                folder,
                len(fits),
                most[0].uid,
                choose,
            )
        return most[0]
    if most:
        msg = f"{folder} holds {len(most)} axial CT series of the same size: {_names(most)}; {choose}"
        raise UserError(msg)
    wanted = "axial CT series" if uid is None else f"CT series {uid}"
    cure = "give a folder with a CT" if series else "check the path"
    if any(s.kind in CTS for s in series):
        cure = choose
    elif any(s.kind == ENHANCED for s in series):
        cure = "convert multi-frame files to NIfTI"
    msg = f"no {wanted} with one slice per file in {folder}, which holds {_names(series)}; {cure}"
    raise UserError(msg)


def _names(series: Sequence[Series]) -> str:
    return ", ".join(map(str, series[:8])) or "no DICOM images at all"
