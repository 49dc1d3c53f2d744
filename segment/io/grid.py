"""Grids of voxels: whether a header states a usable one, and how a label's grid lies on its CT's."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import nibabel as nib
import numpy as np

from segment.errors import UserError
from segment.memory.refuse import check_memory

# Voxels by which two headers may place the same voxel apart, along each axis of the CT. Headers round: origins and
# positions to 0.01 mm, spacings to three digits. Any offset below half a voxel gives the same label by nearest
# neighbour; a tenth is also well below the 0.29 (1/sqrt(12)) by which borders along voxels miss the true ones.
OFF_GRID = 0.1
VOXEL_MM = (0.01, 100.0)  # far beyond every CT of a body, and short of metres or microns taken for mm
SIZES_APART = 0.01  # relative; between the voxel size that a header states and the one of its axes
VOXEL_BYTES = 4  # at the least: int16 as stored, and its copy in HU
COPLANAR = 1e-3  # volume of the box of three unit vectors
AGAIN = "copy or convert it again from its original"  # of a CT or a label, in any format


@dataclass(frozen=True)
class Grid:
    """Where voxels lie.

    Attributes:
        shape: (I,J,K).
        affine: (4,4) voxel → RAS+ mm.
        is_oriented: Whether the file states which way its axes run in the body.
    """

    shape: tuple[int, ...]
    affine: np.ndarray
    is_oriented: bool = True


@dataclass(frozen=True)
class Placement:
    """How a label's grid lies on its CT's.

    Attributes:
        orientation: (3,2), nibabel's form: per axis of the label the CT's axis, and -1 where it runs backwards.
        away_mm: Largest distance between equal corner voxels; no other voxel lies further apart.
        away_voxels: The same in voxels of the CT, along the axis where it is largest; infinite for unequal shapes.
    """

    orientation: np.ndarray
    away_mm: float
    away_voxels: float

    @property
    def is_reordered(self) -> bool:
        """Whether the label's voxels are stored in another order."""
        return not np.array_equal(self.orientation, [[0, 1], [1, 1], [2, 1]])


def check_spacing(path: Path, spacing_mm: Sequence[float] | np.ndarray) -> None:
    """Refuse voxel sizes, as a header states them, that are none.

    Raises:
        UserError: When one is not stated (NaN), not positive, or beyond `VOXEL_MM`.
    """
    low, high = VOXEL_MM
    if not all(low <= mm <= high for mm in spacing_mm):
        sizes = "x".join("?" if np.isnan(mm) else f"{mm:.4g}" for mm in spacing_mm)
        msg = (
            f"{path} states a voxel size of {sizes} mm; {AGAIN}, or write the true one, from "
            f"{low:g} to {high:g} mm, into its header"
        )
        raise UserError(msg)


def check_geometry(path: Path, affine: np.ndarray, spacing_mm: Sequence[float] | np.ndarray | None = None) -> None:
    """The check that the geometry of every CT and label passes, whatever its format.

    Args:
        path: The file.
        affine: Voxel → mm; at least its first three columns, (3,3).
        spacing_mm: Voxel sizes as the header states them, with their signs; None: by the affine alone.

    Raises:
        UserError: When a number is not finite, a voxel size is none or contradicts the affine, or the axes lie in one
            plane.
    """
    lengths_mm = np.linalg.norm(affine[:3, :3], axis=0)
    spacing_mm = lengths_mm if spacing_mm is None else spacing_mm
    check_spacing(path, spacing_mm)
    if not np.isfinite(affine).all():
        msg = f"{path} has an unusable affine {affine[:3].tolist()}; {AGAIN}"
        raise UserError(msg)
    if np.abs(lengths_mm / spacing_mm - 1).max() > SIZES_APART:
        sizes, lengths = ("x".join(f"{mm:.4g}" for mm in each) for each in (spacing_mm, lengths_mm))
        msg = f"{path} states a voxel size of {sizes} mm, but its axes {lengths} mm; {AGAIN}"
        raise UserError(msg)
    if abs(np.linalg.det(affine[:3, :3] / lengths_mm)) < COPLANAR:
        msg = f"{path} has an unusable affine {affine[:3].tolist()}: axes in one plane; {AGAIN}"
        raise UserError(msg)


def check_shape(path: Path, shape: Sequence[int]) -> None:
    """Refuse what is not one volume; a fourth axis of one frame is.

    Raises:
        UserError: When it is not, or its voxels do not fit into memory.
    """
    if len(shape) < 3 or any(n != 1 for n in shape[3:]) or 0 in shape:
        msg = f"{path} has shape {tuple(shape)}; give one 3D volume per file"
        raise UserError(msg)
    voxels = "x".join(map(str, shape))
    check_memory(VOXEL_BYTES * math.prod(shape), f"{path} has {voxels} voxels, and reading it", "check its header")


def placement(label: Grid, image: Grid) -> Placement:
    """How the label lies on the CT when its axes are put into the order that is nearest to the CT's."""
    turn = np.linalg.inv(image.affine) @ label.affine
    orientation = np.asarray(nib.orientations.io_orientation(turn))
    turned = label.affine @ nib.orientations.inv_ornt_aff(orientation, label.shape)
    apart = corners(image.shape) @ (turned - image.affine).T  # (2,2,2,4) mm
    voxels = apart[..., :3] @ np.linalg.inv(image.affine[:3, :3]).T
    away_voxels = float(np.abs(voxels).max()) if _turned_shape(label, orientation) == image.shape else np.inf
    return Placement(orientation.astype(int), float(np.linalg.norm(apart, axis=-1).max()), away_voxels)


def check_placed(label: Grid, image: Grid, label_path: str | Path, image_path: str | Path) -> Placement:
    """`placement` of a label that lies on its CT's grid.

    Raises:
        UserError: When shapes differ, a corner lies more than `OFF_GRID` voxels away, or the voxels are in another
            order by headers of which one does not state the directions of its axes.
    """
    placed = placement(label, image)
    if _turned_shape(label, placed.orientation) != image.shape:
        msg = (
            f"label {label_path} has shape {label.shape} but its CT {image_path} has {image.shape}; "
            "resample the label onto the CT's grid"
        )
        raise UserError(msg)
    if placed.away_voxels > OFF_GRID:
        msg = (
            f"label {label_path} lies up to {placed.away_mm:.3g} mm ({placed.away_voxels:.2g} voxels) away from its CT "
            f"{image_path}: affines {label.affine[:3].round(4).tolist()} and {image.affine[:3].round(4).tolist()}; "
            "resample the label onto the CT's grid or correct the header that is wrong"
        )
        raise UserError(msg)
    if placed.is_reordered and not (label.is_oriented and image.is_oriented):
        unknown = image_path if label.is_oriented else label_path
        remedy = "convert it again from DICOM" if label.is_oriented else "save it again, in its CT's order and affine"
        msg = (
            f"label {label_path} and its CT {image_path} store their voxels in different orders, but {unknown} does "
            f"not state which way its axes run; {remedy}"
        )
        raise UserError(msg)
    return placed


def reordered(volume: np.ndarray, placed: Placement) -> np.ndarray:
    """A label's voxels (I,J,K) in the order of its CT's, without loss; a view."""
    view: np.ndarray = nib.orientations.apply_orientation(volume, placed.orientation)
    return view


def corners(shape: Sequence[int]) -> np.ndarray:
    """Corner voxels of a volume, (2,2,2,4): I, J, K and 1."""
    ends = [(0, n - 1) for n in shape]
    return np.stack([*np.meshgrid(*ends, indexing="ij"), np.ones((2, 2, 2))], axis=-1)


def _turned_shape(label: Grid, orientation: np.ndarray) -> tuple[int, ...]:
    shape = np.empty(3, int)
    shape[orientation[:, 0].astype(int)] = label.shape
    return tuple(shape.tolist())
