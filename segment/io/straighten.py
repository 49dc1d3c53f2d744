"""A volume on a regular grid out of slices that lie unevenly or under a tilted gantry."""

import numpy as np
from scipy import ndimage

from segment.io.series import OUTSIDE_HU, Stack, grid_affine, is_tilted, is_uneven
from segment.memory.refuse import check_memory


def straightened(values: np.ndarray, stack: Stack) -> tuple[np.ndarray, np.ndarray]:
    """Values and affine on a grid without tilt and with the median slice distance, by linear interpolation.

    The grid is wide enough for every slice; what no slice covers is air. A shift that is too small for a tilt is left
    to the affine, as it is in a regular stack.

    Args:
        values: (I,J,K) HU, one slice of the stack after the other.
        stack: Where they lie.
    """
    first = stack.slices[0]
    away_mm = stack.slices[-1].position_mm - first.position_mm
    shifts = np.zeros_like(stack.shifts_mm)
    if is_tilted(stack):
        away_mm = np.cross(*first.axes) * stack.offsets_mm[-1]
        shifts = stack.shifts_mm / first.spacing_mm
    low = np.floor(shifts.min(axis=0)).astype(int)
    size = np.ceil(shifts.max(axis=0)).astype(int) - low + first.shape  # (2,)
    places = stack.offsets_mm / np.median(np.diff(stack.offsets_mm))
    count = round(places[-1]) + 1 if is_uneven(stack) else len(places)
    # Output slice k lies between the slices below[k] and below[k] + 1, at the share above[k] of the way.
    ways = np.interp(np.linspace(0, places[-1], count), places, np.arange(len(places)))
    below = np.minimum(ways.astype(int), len(places) - 2)
    above = ways - below
    check_memory(
        4.0 * int(size[0]) * int(size[1]) * count,
        f"straightening a series to {size[0]}x{size[1]}x{count} voxels",
        "check the positions in the headers of its slices",
    )
    result = np.empty((*size, count), np.float32, order="F")
    for k in range(count):
        parts = ((below[k], 1 - above[k]), (below[k] + 1, above[k]))
        result[..., k] = sum(w * _moved(values[..., n], low - shifts[n], size) for n, w in parts if w > 0)
    start = first.position_mm + (low * first.spacing_mm) @ first.axes
    return result, grid_affine(first, away_mm / (count - 1), start)


def _moved(plane: np.ndarray, offset: np.ndarray, size: np.ndarray) -> np.ndarray:
    """A slice (I,J) sampled at every output voxel plus the offset, in voxels; float32."""
    moved: np.ndarray = ndimage.affine_transform(
        plane, np.ones(2), offset, tuple(size), np.float32, order=1, mode="constant", cval=OUTSIDE_HU
    )
    return moved
