"""The CTs of CHAOS: DICOM series with one mask picture of the liver for each slice."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import imageio.v3 as imageio
import numpy as np
import pydicom

from segment.datasets.cases import Case, Refused
from segment.datasets.sources.listing import build_cases, check_unpacked, is_system_file
from segment.errors import UserError
from segment.io.grid import GRID_TOLERANCE
from segment.io.left_out import LeftOut
from segment.io.scan import Scan, has_suffix


class ChaosCT:
    """Cases like `CT/1/DICOM_anon/i0000,0000b.dcm` with `CT/1/Ground/liver_GT_000.png`. The MR scans are ignored.

    Args:
        root: Folder that the data set was unpacked into; `CT` may be at any depth in it.
        structure: The structure in the pictures.
    """

    def __init__(self, root: str | Path, structure: str = "liver") -> None:
        self.root = Path(root)
        self.structure = structure

    def cases(self, source: str, refused: Refused | None = None) -> list[Case]:
        """List the cases, sorted by number.

        Raises:
            UserError: When there are none, or a case does not have one picture for every slice.
        """
        check_unpacked(self.root)
        found = [path.parent for path in self.root.glob("**/CT/*/Ground") if not is_system_file(path, self.root)]
        folders = {path.name: path for path in sorted(found, key=lambda path: path.name.zfill(9))}
        if not folders:
            msg = f"no CT/<number>/Ground in {self.root}; set root to the folder that the archive was unpacked into"
            raise UserError(msg)
        return build_cases(source, folders, refused, lambda name: self._case(source, folders[name]))

    def left_out(self, cases: Sequence[Case]) -> list[LeftOut]:
        """CTs without pictures, for example those of the test set."""
        series = [path for path in sorted(self.root.glob("**/CT/*/DICOM_anon")) if not is_system_file(path, self.root)]
        return [
            LeftOut(path.relative_to(self.root).as_posix(), "no pictures beside it in Ground", is_expected=True)
            for path in series
            if not (path.parent / "Ground").is_dir()
        ]

    def _case(self, source: str, folder: Path) -> Case:
        series = folder / "DICOM_anon"
        slices, pictures = _visible_files(series, ".dcm"), _visible_files(folder / "Ground", ".png")
        if len(slices) != len(pictures):
            msg = f"{folder} has {len(slices)} slices and {len(pictures)} pictures; unpack the archive again"
            raise UserError(msg)
        label = SlicePictures(self.structure, tuple(slices), tuple(pictures))
        return Case(f"{source}/{folder.name}", f"{source}/{folder.name}", series, label)


@dataclass(frozen=True)
class SlicePictures:
    """Annotation of one structure by one picture for each DICOM slice.

    Attributes:
        structure: The structure; pixels that are not 0 belong to it.
        slices: DICOM files of the CT.
        pictures: One for each slice, with the rows and columns of the slice.
    """

    structure: str
    slices: tuple[Path, ...]
    pictures: tuple[Path, ...]

    @property
    def structures(self) -> Collection[str]:
        """The only structure."""
        return (self.structure,)

    @property
    def files(self) -> Sequence[Path]:
        """Slices and pictures. The slices are included because their order and headers place the pictures."""
        return (*self.slices, *self.pictures)

    @property
    def cache_key(self) -> Any:  # noqa: ANN401
        """The structure and the number of pictures."""
        return ["slice pictures", self.structure, len(self.pictures)]

    def read(self, scan: Scan, image: Path, organs: Sequence[str]) -> np.ndarray:
        """Class indices of the pictures, each at the position of its slice in the volume; see `Annotation`.

        Raises:
            UserError: When a file cannot be read, a picture and its slice differ in size, or a slice is not in the
                volume, for example because the volume was resampled or the folder contains another series.
        """
        classes: np.ndarray = np.zeros(scan.data.shape, np.uint8)
        if self.structure not in organs:
            return classes
        index = list(organs).index(self.structure) + 1
        to_voxel = np.linalg.inv(scan.affine)
        for path, picture in zip(self.slices, self.pictures, strict=True):
            inside = _read_picture(picture, classes.shape[:2])
            classes[..., _slice_index(path, to_voxel, classes.shape[2])][inside] = index
        return classes


def _visible_files(folder: Path, suffix: str) -> list[Path]:
    return [path for path in sorted(folder.glob("*")) if has_suffix(path, suffix) and not path.name.startswith(".")]


def _read_picture(path: Path, shape: tuple[int, ...]) -> np.ndarray:
    """Mask in a picture, (I,J) bool; its columns run along I."""
    try:
        grey = imageio.imread(path, mode="L")
    except Exception as error:  # the parsers raise nearly anything on damaged bytes
        msg = f"cannot read the picture {path}: {error}; unpack the archive again"
        raise UserError(msg) from error
    if grey.T.shape != shape:
        size = "x".join(map(str, grey.T.shape))
        needed = "x".join(map(str, shape))
        msg = f"the picture {path} has {size} pixels, but its slice {needed}; unpack the archive again"
        raise UserError(msg)
    inside: np.ndarray = grey.T != 0
    return inside


def _slice_index(path: Path, to_voxel: np.ndarray, count: int) -> int:
    """Index along K of a slice in a volume with I along the rows of the slice and J along its columns."""
    try:
        header = pydicom.dcmread(path, stop_before_pixels=True)
        position = np.array(header.ImagePositionPatient, float)
        directions = np.array(header.ImageOrientationPatient, float).reshape(2, 3)
        steps = directions * np.array(header.PixelSpacing, float)[::-1, None]  # along a row, then along a column
    except Exception as error:  # anything may be missing or damaged in the header
        msg = f"cannot read the position of the slice {path}: {error}; unpack the archive again"
        raise UserError(msg) from error
    corners = np.stack([position, position + steps.sum(axis=0)])  # LPS+
    corners[:, :2] *= -1
    voxels = corners @ to_voxel[:3, :3].T + to_voxel[:3, 3]
    k = int(np.rint(voxels[0, 2]))
    if not 0 <= k < count or np.abs(voxels - [[0, 0, k], [1, 1, k]]).max() > GRID_TOLERANCE:
        msg = f"the slice {path} is not in the volume read from its folder; keep one series there, not resampled"
        raise UserError(msg)
    return k
