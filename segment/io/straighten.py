"""Resample unevenly spaced slices, or slices of a tilted gantry, to a volume on a regular grid."""

import numpy as np
from scipy import ndimage

from segment.io.series import OUTSIDE_HU, Stack, grid_affine, is_tilted, is_uneven
from segment.memory.measure import check_memory


def straighten_stack(values: np.ndarray, stack: Stack) -> tuple[np.ndarray, np.ndarray]:
    """Return values and affine on a grid without tilt and with the median slice distance, by linear interpolation.

    The grid is large enough for every slice. Voxels that no slice covers are air. A shift that is too small to count as
    a tilt is left to the affine, as in a regular stack.

    Args:
        values: (I,J,K) HU of the slices in the order of the stack.
        stack: The positions of the slices.
    """
    first = stack.slices[0]
    extent_mm = stack.slices[-1].position_mm - first.position_mm
    shifts = np.zeros_like(stack.shifts_mm)  # (n,2) in voxels
    if is_tilted(stack):
        extent_mm = np.cross(*first.axes) * stack.offsets_mm[-1]
        shifts = stack.shifts_mm / first.spacing_mm
    low = np.floor(shifts.min(axis=0)).astype(int)
    size = np.ceil(shifts.max(axis=0)).astype(int) - low + first.shape  # (2,)
    positions = stack.offsets_mm / np.median(np.diff(stack.offsets_mm))  # in steps of the median distance
    count = round(positions[-1]) + 1 if is_uneven(stack) else len(positions)
    # Output slice k is between the slices below[k] and below[k] + 1; the weight of the latter is above[k].
    fractional_index = np.interp(np.linspace(0, positions[-1], count), positions, np.arange(len(positions)))
    below = np.minimum(fractional_index.astype(int), len(positions) - 2)
    above = fractional_index - below
    check_memory(
        4.0 * int(size[0]) * int(size[1]) * count,
        f"straightening a series to {size[0]}x{size[1]}x{count} voxels",
        "check the positions in the headers of its slices",
    )
    result = np.empty((*size, count), np.float32, order="F")
    for k in range(count):
        weights = ((below[k], 1 - above[k]), (below[k] + 1, above[k]))
        result[..., k] = sum(w * _shifted(values[..., n], low - shifts[n], size) for n, w in weights if w > 0)
    start = first.position_mm + (low * first.spacing_mm) @ first.axes
    return result, grid_affine(first, extent_mm / (count - 1), start)


def _shifted(plane: np.ndarray, offset: np.ndarray, size: np.ndarray) -> np.ndarray:
    """Return a slice (I,J) sampled, for each output voxel, at its index plus the offset in voxels, as float32."""
    shifted: np.ndarray = ndimage.affine_transform(
        plane, np.ones(2), offset, tuple(size), np.float32, order=1, mode="constant", cval=OUTSIDE_HU
    )
    return shifted
