"""The midline of the body, which separates right from left."""

import numpy as np

from segment.io.scan import AIR_BELOW_HU


def midline_mm(hu: np.ndarray, affine: np.ndarray) -> float:
    """RAS+ x with as much of the body on its right as on its left; the middle of the volume if all voxels are air.

    This is the median x of all voxels that are not air. An arm or the end of a table would move the mean twice as far.

    Voxels are counted in columns along the axis on which x changes least, and count at the middle of their column. The
    result is exact unless the grid is rotated about two axes.

    Args:
        hu: (I,J,K).
        affine: (4,4), voxel → RAS+ mm.
    """
    axis = int(np.argmin(np.abs(affine[0, :3]) * hu.shape))
    counts = np.count_nonzero(hu > AIR_BELOW_HU, axis=axis)
    if not counts.any():
        counts = np.ones_like(counts)
    indices = [np.arange(float(n)) for n in hu.shape]
    indices[axis] = indices[axis].mean(keepdims=True)
    x = sum(step * index for step, index in zip(affine[0, :3], np.ix_(*indices), strict=True)) + affine[0, 3]
    order = np.argsort(x, axis=None)
    cumulative = np.cumsum(counts.ravel()[order])
    # As in the usual median, the mean of the two middle values if the number of voxels is even.
    middle = [np.searchsorted(cumulative, cumulative[-1] / 2, side) for side in ("left", "right")]
    return float(x.ravel()[order[middle]].mean())
