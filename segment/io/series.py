"""Where the slices of a CT series lie, and whether they make one volume.

Positions and directions are those of DICOM (PS3.3, C.7.6.2): LPS+ mm of the centre of a slice's first voxel.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from segment.errors import UserError
from segment.io.grid import OFF_GRID

OUTSIDE_HU = -1024.0  # of what lies outside of the gantry, unless a scanner says darker
SAME_PLACE_MM = 0.01
# The affine follows a smaller tilt, or one that shifts no slice by `OFF_GRID`.
TILT_DEGREES = 0.1


@dataclass(frozen=True)
class Slice:
    """What the header of one file says of its slice.

    Attributes:
        path: The file.
        instance: Instance Number, None when the file has none.
        shape: Columns (I) and rows (J).
        position_mm: (3,) LPS+ centre of the first voxel.
        axes: (2,3) LPS+ unit vectors along I and J.
        spacing_mm: Along I and J.
        padding_hu: Lowest and highest value of voxels outside of the gantry, None when the file names none.
    """

    path: Path
    instance: int | None
    shape: tuple[int, int]
    position_mm: np.ndarray
    axes: np.ndarray
    spacing_mm: np.ndarray
    padding_hu: tuple[float, float] | None


@dataclass(frozen=True)
class Stack:
    """Slices of one volume in their order along the normal of their planes.

    Attributes:
        slices: n slices, at least two.
        offsets_mm: (n,) along the normal, from the first slice on, ascending.
        shifts_mm: (n,2) along I and J against the first slice; zero unless the gantry was tilted.
    """

    slices: tuple[Slice, ...]
    offsets_mm: np.ndarray
    shifts_mm: np.ndarray

    @property
    def affine(self) -> np.ndarray:
        """(4,4) voxel → RAS+ mm when the slices are equally far apart."""
        first, last = self.slices[0], self.slices[-1]
        step = (last.position_mm - first.position_mm) / (len(self.slices) - 1)
        return grid_affine(first, step, first.position_mm)


def stacked(slices: Sequence[Slice], folder: Path) -> Stack:
    """Order the slices of one series.

    Raises:
        UserError: When they are fewer than two, differ in size, pixel spacing or orientation, when two lie at the same
            place, or when some are missing.
    """
    if len(slices) < 2:
        msg = f"the series in {folder} has {len(slices)} slice; a volume needs two or more, copy the whole series"
        raise UserError(msg)
    _check_alike(slices)
    axes = slices[0].axes
    frame = np.stack([*axes, np.cross(*axes)])  # (3,3)
    order = sorted(slices, key=lambda s: float(frame[2] @ s.position_mm))
    local = np.stack([frame @ (s.position_mm - order[0].position_mm) for s in order])  # (n,3) mm along I, J, normal
    _check_gaps(order, np.diff(local[:, 2]))
    return Stack(tuple(order), local[:, 2], local[:, :2])


def is_uneven(stack: Stack) -> bool:
    """Whether slices lie away from where equal distances would put them, by more than rounding."""
    even = np.linspace(0, stack.offsets_mm[-1], len(stack.offsets_mm))
    return bool(np.abs(stack.offsets_mm - even).max() > OFF_GRID * even[1])


def is_tilted(stack: Stack) -> bool:
    """Whether slices are shifted against each other within their planes, by more than rounding."""
    along = stack.offsets_mm[:, None] / stack.offsets_mm[-1]
    jitter = stack.shifts_mm - along * stack.shifts_mm[-1]
    shifts = stack.shifts_mm if tilt_degrees(stack) > TILT_DEGREES else jitter
    return bool(np.abs(shifts / stack.slices[0].spacing_mm).max() > OFF_GRID)


def tilt_degrees(stack: Stack) -> float:
    """Angle between the slices' normal and the line from the first slice to the last."""
    return float(np.degrees(np.arctan2(np.linalg.norm(stack.shifts_mm[-1]), stack.offsets_mm[-1])))


def is_regular(stack: Stack) -> bool:
    """Whether the stack's affine says where all its slices lie."""
    return not (is_tilted(stack) or is_uneven(stack))


def check_regular(stack: Stack, folder: Path, remedy: str) -> None:
    """Refuse slices that no affine describes without a shear.

    Args:
        stack: The slices.
        folder: Where they lie, for errors.
        remedy: How to resample them.

    Raises:
        UserError: When the gantry was tilted or the slices are not equally far apart.
    """
    if is_tilted(stack):
        away_mm = np.abs(stack.shifts_mm).max()
        msg = (
            f"the slices in {folder} are shifted by up to {away_mm:.3g} mm within their planes (gantry tilt of "
            f"{tilt_degrees(stack):.3g} degrees); {remedy}"
        )
        raise UserError(msg)
    if is_uneven(stack):
        gaps = np.diff(stack.offsets_mm)
        msg = f"the slices in {folder} lie {gaps.min():.4g} to {gaps.max():.4g} mm apart; {remedy}"
        raise UserError(msg)


def grid_affine(first: Slice, step_mm: np.ndarray, start_mm: np.ndarray) -> np.ndarray:
    """Affine (4,4), voxel → RAS+ mm, of slices like the first; step from slice to slice and start are LPS+ mm."""
    affine = np.eye(4)
    affine[:3] = np.column_stack([*(first.axes * first.spacing_mm[:, None]), step_mm, start_mm])
    affine[:2] *= -1  # LPS+ → RAS+
    return affine


def _check_alike(slices: Sequence[Slice]) -> None:
    first = slices[0]
    if not np.allclose(first.axes @ first.axes.T, np.eye(2), atol=1e-3):
        msg = (
            f"{first.path} has an orientation of {first.axes.tolist()}, not two perpendicular unit vectors; export "
            "the series again"
        )
        raise UserError(msg)
    for other in slices[1:]:
        if other.shape != first.shape:
            what, one, two = "sizes", first.shape, other.shape
        elif _apart(first, replace(first, spacing_mm=other.spacing_mm)) > OFF_GRID:
            what, one, two = "pixel spacings", tuple(first.spacing_mm.tolist()), tuple(other.spacing_mm.tolist())
        elif _apart(first, replace(first, axes=other.axes)) > OFF_GRID:
            what, one, two = "orientations", tuple(first.axes.ravel().tolist()), tuple(other.axes.ravel().tolist())
        else:
            continue
        msg = f"slices of mixed {what} in one series: {one} in {first.path} and {two} in {other.path}; separate them"
        raise UserError(msg)


def _apart(one: Slice, other: Slice) -> float:
    """Largest distance between equal corners of two slices of one size, the first corners put together.

    In pixels, along I or J, and out of the plane against the smaller side of a pixel.
    """
    steps_mm = other.axes * other.spacing_mm[:, None] - one.axes * one.spacing_mm[:, None]  # (2,3) along I, J
    corners_mm = np.array([[1, 0], [0, 1], [1, 1]]) * (np.array(one.shape) - 1) @ steps_mm
    frame = np.stack([*one.axes, np.cross(*one.axes)])  # (3,3)
    return float(np.abs(corners_mm @ frame.T / [*one.spacing_mm, one.spacing_mm.min()]).max())


def _check_gaps(order: Sequence[Slice], gaps_mm: np.ndarray) -> None:
    """Refuse slices at the same place, and gaps of whole slices unless the scanner counted on across them."""
    same = np.flatnonzero(gaps_mm < SAME_PLACE_MM)
    if len(same):
        one, two = order[same[0]], order[same[0] + 1]
        msg = (
            f"duplicate slices: {one.path} and {two.path} lie at the same place ({len(same)} such pairs); keep one "
            "copy, or one phase, of the series"
        )
        raise UserError(msg)
    steps = gaps_mm / np.median(gaps_mm)
    for n in map(int, np.flatnonzero((np.rint(steps) >= 2) & (np.abs(steps - np.rint(steps)) < 0.1))):
        below, above = order[n], order[n + 1]
        if below.instance is None or above.instance is None or abs(above.instance - below.instance) != 1:
            msg = (
                f"{round(steps[n]) - 1} slice(s) missing between {below.path} and {above.path}, which lie "
                f"{gaps_mm[n]:.4g} mm apart; copy or download the whole series again"
            )
            raise UserError(msg)
