"""Stack the slices of a CT series in order, and check that they form one regular volume.

Positions and directions follow DICOM (PS3.3, C.7.6.2): the centre of a slice's first voxel, in LPS+ mm.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from segment.errors import UserError
from segment.io.grid import GRID_TOLERANCE

OUTSIDE_HU = -1024.0  # outside the gantry, unless the scanner uses a darker value
SAME_POSITION_MM = 0.01
TILT_DEGREES = 0.1  # a smaller tilt is left to the affine, as is one that shifts no slice by `GRID_TOLERANCE`


@dataclass(frozen=True)
class Slice:
    """Geometry and padding of one slice, from the header of its file.

    Attributes:
        path: The file.
        instance: Instance Number, or None if the file has none.
        shape: Columns (I) and rows (J).
        position_mm: (3,) LPS+ centre of the first voxel.
        axes: (2,3) LPS+ unit vectors along I and J.
        spacing_mm: Along I and J.
        padding_hu: Lowest and highest value of voxels outside the gantry, or None if the file states none.
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
    """Slices of one volume, in order along the normal of their planes.

    Attributes:
        slices: n slices, at least two.
        offsets_mm: (n,) distance from the first slice along the normal, ascending.
        shifts_mm: (n,2) shift against the first slice along I and J. Zero unless the gantry was tilted.
    """

    slices: tuple[Slice, ...]
    offsets_mm: np.ndarray
    shifts_mm: np.ndarray

    @property
    def affine(self) -> np.ndarray:
        """(4,4) voxel → RAS+ mm, if the slices are evenly spaced."""
        first, last = self.slices[0], self.slices[-1]
        step = (last.position_mm - first.position_mm) / (len(self.slices) - 1)
        return grid_affine(first, step, first.position_mm)


def stack_slices(slices: Sequence[Slice], folder: Path) -> Stack:
    """Order the slices of one series.

    Raises:
        UserError: When there are fewer than two slices, when they differ in size, pixel spacing or orientation, when
            two have the same position, or when some are missing.
    """
    if len(slices) < 2:
        msg = f"the series in {folder} has {len(slices)} slice; a volume needs two or more, copy the whole series"
        raise UserError(msg)
    _check_consistent(slices)
    axes = slices[0].axes
    frame = np.stack([*axes, np.cross(*axes)])  # (3,3)
    order = sorted(slices, key=lambda s: float(frame[2] @ s.position_mm))
    local = np.stack([frame @ (s.position_mm - order[0].position_mm) for s in order])  # (n,3) mm along I, J, normal
    _check_gaps(order, np.diff(local[:, 2]))
    return Stack(tuple(order), local[:, 2], local[:, :2])


def is_uneven(stack: Stack) -> bool:
    """Whether some slice is further from its evenly spaced position than rounding explains."""
    even = np.linspace(0, stack.offsets_mm[-1], len(stack.offsets_mm))
    return bool(np.abs(stack.offsets_mm - even).max() > GRID_TOLERANCE * even[1])


def is_tilted(stack: Stack) -> bool:
    """Whether slices are shifted against each other within their planes by more than rounding explains."""
    along = stack.offsets_mm[:, None] / stack.offsets_mm[-1]
    jitter = stack.shifts_mm - along * stack.shifts_mm[-1]
    shifts = stack.shifts_mm if tilt_degrees(stack) > TILT_DEGREES else jitter
    return bool(np.abs(shifts / stack.slices[0].spacing_mm).max() > GRID_TOLERANCE)


def tilt_degrees(stack: Stack) -> float:
    """Return the angle between the slices' normal and the line from the first slice to the last."""
    return float(np.degrees(np.arctan2(np.linalg.norm(stack.shifts_mm[-1]), stack.offsets_mm[-1])))


def is_regular(stack: Stack) -> bool:
    """Whether the stack's affine describes the positions of all its slices."""
    return not (is_tilted(stack) or is_uneven(stack))


def check_regular(stack: Stack, folder: Path, remedy: str) -> None:
    """Refuse slices that cannot be described by an affine without shear.

    Args:
        stack: The slices.
        folder: Their folder, for errors.
        remedy: How to resample them, for errors.

    Raises:
        UserError: When the gantry was tilted or the slices are unevenly spaced.
    """
    if is_tilted(stack):
        shift_mm = np.abs(stack.shifts_mm).max()
        msg = (
            f"the slices in {folder} are shifted by up to {shift_mm:.3g} mm within their planes (gantry tilt of "
            f"{tilt_degrees(stack):.3g} degrees); {remedy}"
        )
        raise UserError(msg)
    if is_uneven(stack):
        gaps = np.diff(stack.offsets_mm)
        msg = f"the slices in {folder} are {gaps.min():.4g} to {gaps.max():.4g} mm apart; {remedy}"
        raise UserError(msg)


def grid_affine(first: Slice, step_mm: np.ndarray, start_mm: np.ndarray) -> np.ndarray:
    """Return the affine (4,4), voxel → RAS+ mm, of a stack of slices.

    Args:
        first: A slice with the stack's axes and spacing.
        step_mm: (3,) LPS+ vector from one slice to the next.
        start_mm: (3,) LPS+ position of the first voxel.
    """
    affine = np.eye(4)
    affine[:3] = np.column_stack([*(first.axes * first.spacing_mm[:, None]), step_mm, start_mm])
    affine[:2] *= -1  # LPS+ → RAS+
    return affine


def _check_consistent(slices: Sequence[Slice]) -> None:
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
        elif _corner_distance(first, replace(first, spacing_mm=other.spacing_mm)) > GRID_TOLERANCE:
            what, one, two = "pixel spacings", tuple(first.spacing_mm.tolist()), tuple(other.spacing_mm.tolist())
        elif _corner_distance(first, replace(first, axes=other.axes)) > GRID_TOLERANCE:
            what, one, two = "orientations", tuple(first.axes.ravel().tolist()), tuple(other.axes.ravel().tolist())
        else:
            continue
        msg = f"slices of mixed {what} in one series: {one} in {first.path} and {two} in {other.path}; separate them"
        raise UserError(msg)


def _corner_distance(one: Slice, other: Slice) -> float:
    """Return the largest distance between matching corners of two slices of the same size whose first corners coincide.

    The unit is pixels along I and J. Out of the plane, it is the shorter side of a pixel.
    """
    steps_mm = other.axes * other.spacing_mm[:, None] - one.axes * one.spacing_mm[:, None]  # (2,3) along I, J
    corners_mm = np.array([[1, 0], [0, 1], [1, 1]]) * (np.array(one.shape) - 1) @ steps_mm
    frame = np.stack([*one.axes, np.cross(*one.axes)])  # (3,3)
    return float(np.abs(corners_mm @ frame.T / [*one.spacing_mm, one.spacing_mm.min()]).max())


def _check_gaps(order: Sequence[Slice], gaps_mm: np.ndarray) -> None:
    """Refuse two slices at one position, and gaps that are a multiple of the slice distance.

    A gap is accepted if the instance numbers on its two sides are consecutive: the scanner left no slice out.
    """
    same = np.flatnonzero(gaps_mm < SAME_POSITION_MM)
    if len(same):
        one, two = order[same[0]], order[same[0] + 1]
        msg = (
            f"duplicate slices: {one.path} and {two.path} have the same position ({len(same)} such pairs); keep one "
            "copy, or one phase, of the series"
        )
        raise UserError(msg)
    steps = gaps_mm / np.median(gaps_mm)
    is_multiple = (np.rint(steps) >= 2) & (np.abs(steps - np.rint(steps)) < 0.1)
    for n in map(int, np.flatnonzero(is_multiple)):
        below, above = order[n], order[n + 1]
        if below.instance is None or above.instance is None or abs(above.instance - below.instance) != 1:
            msg = (
                f"{round(steps[n]) - 1} slice(s) missing between {below.path} and {above.path}, which are "
                f"{gaps_mm[n]:.4g} mm apart; copy or download the whole series again"
            )
            raise UserError(msg)
