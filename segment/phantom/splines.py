"""Smooth fields as tensor products of uniform cubic B-splines."""

from collections.abc import Sequence

import numpy as np


def spline_weights(position: np.ndarray, points: int) -> np.ndarray:
    """Weights (N, points) float32 of a line of control points around each position, all at least 0; rows sum to 1.

    Args:
        position: (N,) positions in cells. A position between cells i and i + 1 uses the points i to i + 3.
        points: Control points of the line; their numbers wrap around, so the spline has this period.
    """
    cell = np.floor(position).astype(int)
    t = position - cell
    taps = ((1 - t) ** 3, 3 * t**3 - 6 * t**2 + 4, -3 * t**3 + 3 * t**2 + 3 * t + 1, t**3)
    weights = np.zeros((len(position), points), np.float32)
    for step, tap in enumerate(taps):
        weights[np.arange(len(position)), (cell + step) % points] = tap / 6
    return weights


def spline_field(lattice: np.ndarray, weights: Sequence[np.ndarray]) -> np.ndarray:
    """Field (I,J,K) float32 of control values (A,B,C) float32, by the weights along the three axes.

    The sums use einsum, because the results of BLAS can depend on the number of threads.
    """
    along_i, along_j, along_k = weights
    field = np.einsum("abc,kc->abk", lattice, along_k)
    field = np.einsum("abk,jb->ajk", field, along_j)
    result: np.ndarray = np.einsum("ajk,ia->ijk", field, along_i)
    return result
