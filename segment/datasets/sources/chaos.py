"""The CTs of CHAOS: DICOM series whose livers are drawn in one picture for each slice."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import imageio.v3 as imageio
import numpy as np
import pydicom

from segment.datasets.cases import Case, Refused
from segment.datasets.sources.listing import check_unpacked, left_by_system, listed
from segment.errors import UserError
from segment.io.grid import OFF_GRID
from segment.io.left_out import LeftOut
from segment.io.scan import Scan, has_suffix


class ChaosCT:
    """Cases such as `CT/1/DICOM_anon/i0000,0000b.dcm` with `CT/1/Ground/liver_GT_000.png`; the MR beside is no CT.

    Args:
        root: Folder that the data set was unpacked into, however deep `CT` lies there.
        structure: What the pictures show.
    """

    def __init__(self, root: str | Path, structure: str = "liver") -> None:
        self.root = Path(root)
        self.structure = structure

    def cases(self, source: str, refused: Refused | None = None) -> list[Case]:
        """List the cases, sorted by number.

        Raises:
            UserError: When there are none, or a case does not have a picture for every slice.
        """
        check_unpacked(self.root)
        found = [path.parent for path in self.root.glob("**/CT/*/Ground") if not left_by_system(path, self.root)]
        folders = {path.name: path for path in sorted(found, key=lambda path: path.name.zfill(9))}
        if not folders:
            msg = f"no CT/<number>/Ground in {self.root}; set root to the folder that the archive was unpacked into"
            raise UserError(msg)
        return listed(source, folders, refused, lambda name: self._case(source, folders[name]))

    def left_out(self, cases: Sequence[Case]) -> list[LeftOut]:
        """CTs without pictures, such as those of the test set."""
        series = [path for path in sorted(self.root.glob("**/CT/*/DICOM_anon")) if not left_by_system(path, self.root)]
        return [
            LeftOut(path.relative_to(self.root).as_posix(), "no pictures beside it in Ground", is_expected=True)
            for path in series
            if not (path.parent / "Ground").is_dir()
        ]

    def _case(self, source: str, folder: Path) -> Case:
        series = folder / "DICOM_anon"
        slices, pictures = _visible(series, ".dcm"), _visible(folder / "Ground", ".png")
        if len(slices) != len(pictures):
            msg = f"{folder} has {len(slices)} slices and {len(pictures)} pictures; unpack the archive again"
            raise UserError(msg)
        label = SlicePictures(self.structure, tuple(slices), tuple(pictures))
        return Case(f"{source}/{folder.name}", f"{source}/{folder.name}", series, label)


@dataclass(frozen=True)
class SlicePictures:
    """One structure, drawn in a picture for each DICOM slice.

    Attributes:
        structure: What is drawn; not 0 is inside.
        slices: DICOM files of the CT.
        pictures: The one for each slice: rows and columns are those of the slice.
    """

    structure: str
    slices: tuple[Path, ...]
    pictures: tuple[Path, ...]

    @property
    def structures(self) -> Collection[str]:
        """The one."""
        return (self.structure,)

    @property
    def files(self) -> Sequence[Path]:
        """Slices and pictures: which belongs to which, and where, is in their order and in the slices' headers."""
        return (*self.slices, *self.pictures)

    @property
    def facts(self) -> Any:  # noqa: ANN401
        """What is drawn, in how many pictures."""
        return ["slice pictures", self.structure, len(self.pictures)]

    def read(self, scan: Scan, image: Path, organs: Sequence[str]) -> np.ndarray:
        """Pictures put where their slices are in the volume.

        Raises:
            UserError: When a file cannot be read, a picture has another size than the slices, or a slice is not in the
                volume: it was resampled, or the folder holds another series.
        """
        classes: np.ndarray = np.zeros(scan.data.shape, np.uint8)
        if self.structure not in organs:
            return classes
        index = list(organs).index(self.structure) + 1
        to_voxel = np.linalg.inv(scan.affine)
        for path, picture in zip(self.slices, self.pictures, strict=True):
            inside = _picture(picture, classes.shape[:2])
            classes[..., _place(path, to_voxel, classes.shape[2])][inside] = index
        return classes


def _visible(folder: Path, suffix: str) -> list[Path]:
    return [path for path in sorted(folder.glob("*")) if has_suffix(path, suffix) and not path.name.startswith(".")]


def _picture(path: Path, shape: tuple[int, ...]) -> np.ndarray:
    """What a picture shows as inside, (I,J) bool: its columns run along I."""
    try:
        grey = imageio.imread(path, mode="L")
    except Exception as error:  # damaged bytes make the parsers raise nearly anything
        msg = f"cannot read the picture {path}: {error}; unpack the archive again"
        raise UserError(msg) from error
    if grey.T.shape != shape:
        size, needed = ("x".join(map(str, each)) for each in (grey.T.shape, shape))
        msg = f"the picture {path} has {size} pixels, but its slice {needed}; unpack the archive again"
        raise UserError(msg)
    inside: np.ndarray = grey.T != 0
    return inside


def _place(path: Path, to_voxel: np.ndarray, count: int) -> int:
    """Index along K of a slice: where the volume has its first voxel, with rows along I and columns along J."""
    try:
        header = pydicom.dcmread(path, stop_before_pixels=True)
        position = np.array(header.ImagePositionPatient, float)
        directions = np.array(header.ImageOrientationPatient, float).reshape(2, 3)
        steps = directions * np.array(header.PixelSpacing, float)[::-1, None]  # along a row, then along a column
    except Exception as error:  # whatever is missing or broken in the header
        msg = f"cannot read where the slice {path} lies: {error}; unpack the archive again"
        raise UserError(msg) from error
    corners = np.stack([position, position + steps.sum(axis=0)])  # LPS+
    corners[:, :2] *= -1
    voxels = corners @ to_voxel[:3, :3].T + to_voxel[:3, 3]
    k = int(np.rint(voxels[0, 2]))
    if not 0 <= k < count or np.abs(voxels - [[0, 0, k], [1, 1, k]]).max() > OFF_GRID:
        msg = f"the slice {path} is not in the volume that was read of its folder; keep one series there, not resampled"
        raise UserError(msg)
    return k
