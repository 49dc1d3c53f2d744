"""Where the body's right and left meet."""

import numpy as np

from segment.io.scan import AIR_BELOW_HU


def midline_mm(hu: np.ndarray, affine: np.ndarray) -> float:
    """RAS+ x that has as much of the body on its right as on its left; the volume's middle where all is air.

    The median of what is not air and not the mean, which an arm or the end of a table moves twice as far. Voxels are
    counted in columns along the axis that leads least to the right, each at its column's middle: exact, unless the grid
    is turned about two axes.

    Args:
        hu: (I,J,K).
        affine: (4,4), voxel → RAS+ mm.
    """
    axis = int(np.argmin(np.abs(affine[0, :3]) * hu.shape))
    counts = np.count_nonzero(hu > AIR_BELOW_HU, axis=axis)
    if not counts.any():
        counts = np.ones_like(counts)
    places = [np.arange(float(n)) for n in hu.shape]
    places[axis] = places[axis].mean(keepdims=True)
    x = sum(step * place for step, place in zip(affine[0, :3], np.ix_(*places), strict=True)) + affine[0, 3]
    order = np.argsort(x, axis=None)
    so_far = np.cumsum(counts.ravel()[order])
    ends = [np.searchsorted(so_far, so_far[-1] / 2, side) for side in ("left", "right")]
    return float(x.ravel()[order[ends]].mean())
