"""Voxel grids: check that a header states a usable one, and compare a label's grid with its CT's."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import nibabel as nib
import numpy as np

from segment.errors import UserError
from segment.memory.measure import check_memory

# Largest distance, in voxels of the CT along each axis, between the positions that two headers give to one voxel.
# Headers round: origins and positions to 0.01 mm, spacings to three digits. With nearest neighbours, any offset below
# half a voxel gives the same label. A tenth is also well below 0.29 (1/sqrt(12)), the standard deviation of the error
# that a border has because it follows voxels.
GRID_TOLERANCE = 0.1
VOXEL_MM = (0.01, 100.0)  # wider than for any body CT, but excludes metres and microns that are read as mm
SIZES_APART = 0.01  # relative difference between the voxel size that a header states and the length of the axes
COPLANAR = 1e-3  # volume of the box spanned by three unit vectors
CONVERT_AGAIN = "copy or convert it again from its original"  # remedy for a CT or a label in any format


@dataclass(frozen=True)
class Grid:
    """Positions of the voxels of a volume.

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
    """A label's grid compared with its CT's.

    Attributes:
        orientation: (3,2) in nibabel's form: for each axis of the label the axis of the CT, and -1 if it is reversed.
        offset_mm: Largest distance between matching corner voxels. No other voxel is further off.
        offset_voxels: The same in voxels of the CT, along the axis where it is largest. Infinite if shapes differ.
    """

    orientation: np.ndarray
    offset_mm: float
    offset_voxels: float

    @property
    def is_reordered(self) -> bool:
        """Whether the label stores its voxels in another order than the CT."""
        return not np.array_equal(self.orientation, [[0, 1], [1, 1], [2, 1]])


def check_spacing(path: Path, spacing_mm: Sequence[float] | np.ndarray) -> None:
    """Refuse impossible voxel sizes.

    Args:
        path: The file.
        spacing_mm: Voxel sizes as the header states them. NaN means not stated.

    Raises:
        UserError: When a size is not stated, not positive, or outside `VOXEL_MM`.
    """
    low, high = VOXEL_MM
    if not all(low <= mm <= high for mm in spacing_mm):
        sizes = "x".join("?" if np.isnan(mm) else f"{mm:.4g}" for mm in spacing_mm)
        msg = (
            f"{path} states a voxel size of {sizes} mm; {CONVERT_AGAIN}, or write the right one, from "
            f"{low:g} to {high:g} mm, into its header"
        )
        raise UserError(msg)


def check_geometry(path: Path, affine: np.ndarray, spacing_mm: Sequence[float] | np.ndarray | None = None) -> None:
    """Refuse unusable geometry. Every CT and label passes this check, whatever its format.

    Args:
        path: The file.
        affine: Voxel → mm. At least the first three rows and columns, (3,3).
        spacing_mm: Voxel sizes as the header states them, with their signs. None takes those of the affine.

    Raises:
        UserError: When a number is not finite, a voxel size is impossible or contradicts the affine, or the axes are
            coplanar.
    """
    lengths_mm = np.linalg.norm(affine[:3, :3], axis=0)
    spacing_mm = lengths_mm if spacing_mm is None else spacing_mm
    check_spacing(path, spacing_mm)
    if not np.isfinite(affine).all():
        msg = f"{path} has an unusable affine {affine[:3].tolist()}; {CONVERT_AGAIN}"
        raise UserError(msg)
    if np.abs(lengths_mm / spacing_mm - 1).max() > SIZES_APART:
        msg = (
            f"{path} states a voxel size of {_sizes(spacing_mm)} mm, but its axes {_sizes(lengths_mm)} mm; "
            f"{CONVERT_AGAIN}"
        )
        raise UserError(msg)
    if abs(np.linalg.det(affine[:3, :3] / lengths_mm)) < COPLANAR:
        msg = f"{path} has an unusable affine {affine[:3].tolist()}: axes in one plane; {CONVERT_AGAIN}"
        raise UserError(msg)


def _sizes(lengths_mm: Sequence[float] | np.ndarray) -> str:
    return "x".join(f"{mm:.4g}" for mm in lengths_mm)


def check_shape(path: Path, shape: Sequence[int], item_bytes: int = 2) -> None:
    """Refuse anything but one volume. Further axes are allowed if their length is 1, for example one time frame.

    Args:
        path: The file.
        shape: As stored.
        item_bytes: Bytes of a stored voxel.

    Raises:
        UserError: When the shape is not that of one volume, or the voxels do not fit into memory.
    """
    if len(shape) < 3 or any(n != 1 for n in shape[3:]) or 0 in shape:
        msg = f"{path} has shape {tuple(shape)}; give one 3D volume per file"
        raise UserError(msg)
    voxels = "x".join(map(str, shape))
    copies = max(4, 2 * item_bytes)  # a voxel as stored, and a copy in HU
    check_memory(copies * math.prod(shape), f"{path} has {voxels} voxels, and reading it", "check its header")


def find_placement(label: Grid, image: Grid) -> Placement:
    """Compare a label's grid with its CT's, after putting the label's axes into the order closest to the CT's."""
    label_to_image = np.linalg.inv(image.affine) @ label.affine
    orientation = np.asarray(nib.orientations.io_orientation(label_to_image))
    reordered_affine = label.affine @ nib.orientations.inv_ornt_aff(orientation, label.shape)
    apart_mm = corners(image.shape) @ (reordered_affine - image.affine).T  # (2,2,2,4)
    apart_voxels = apart_mm[..., :3] @ np.linalg.inv(image.affine[:3, :3]).T
    offset_mm = float(np.linalg.norm(apart_mm, axis=-1).max())
    offset_voxels = np.inf
    if _reordered_shape(label, orientation) == image.shape:
        offset_voxels = float(np.abs(apart_voxels).max())
    return Placement(orientation.astype(int), offset_mm, offset_voxels)


def check_same_grid(label: Grid, image: Grid, label_path: str | Path, image_path: str | Path) -> Placement:
    """Return the placement of a label that is on its CT's grid, and refuse any other label.

    Raises:
        UserError: When shapes differ, a corner is more than `GRID_TOLERANCE` voxels off, or the voxels are stored in
            another order and one of the headers does not state the directions of its axes.
    """
    placement = find_placement(label, image)
    if _reordered_shape(label, placement.orientation) != image.shape:
        msg = (
            f"label {label_path} has shape {label.shape} but its CT {image_path} has {image.shape}; "
            "resample the label onto the CT's grid"
        )
        raise UserError(msg)
    if placement.offset_voxels > GRID_TOLERANCE:
        msg = (
            f"label {label_path} is up to {placement.offset_mm:.3g} mm ({placement.offset_voxels:.2g} voxels) away "
            f"from its CT {image_path}: affines {label.affine[:3].round(4).tolist()} and "
            f"{image.affine[:3].round(4).tolist()}; resample the label onto the CT's grid or correct the header that "
            "is wrong"
        )
        raise UserError(msg)
    if placement.is_reordered and not (label.is_oriented and image.is_oriented):
        unknown = image_path if label.is_oriented else label_path
        remedy = "convert it again from DICOM" if label.is_oriented else "save it again, in its CT's order and affine"
        msg = (
            f"label {label_path} and its CT {image_path} store their voxels in different orders, but {unknown} does "
            f"not state which way its axes run; {remedy}"
        )
        raise UserError(msg)
    return placement


def reorder(volume: np.ndarray, placement: Placement) -> np.ndarray:
    """Return a label's voxels (I,J,K) in the order of its CT's, without loss, as a view."""
    view: np.ndarray = nib.orientations.apply_orientation(volume, placement.orientation)
    return view


def axis_along(affine: np.ndarray, world: int) -> int:
    """Return the axis of a grid whose direction is closest to an axis of the body: 0 right, 1 front, 2 up.

    Directions count, not the steps from voxel to voxel: slices of 5 mm that lean to the right by 10 degrees move
    further to the right with each slice than pixels of 0.7 mm do with each column.
    """
    axes = np.asarray(nib.orientations.io_orientation(affine))[:, 0].astype(int)
    return int(np.flatnonzero(axes == world)[0])


def corners(shape: Sequence[int]) -> np.ndarray:
    """Return the corner voxels of a volume as (2,2,2,4): I, J, K and 1."""
    ends = [(0, n - 1) for n in shape]
    return np.stack([*np.meshgrid(*ends, indexing="ij"), np.ones((2, 2, 2))], axis=-1)


def _reordered_shape(label: Grid, orientation: np.ndarray) -> tuple[int, ...]:
    shape = np.empty(3, int)
    shape[orientation[:, 0].astype(int)] = label.shape
    return tuple(shape.tolist())
