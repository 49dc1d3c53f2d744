"""Means that leave out what is not known."""

import numpy as np


def nan_means(values: np.ndarray, axis: int) -> np.ndarray:
    """Means along an axis of what is not NaN; NaN, without numpy's warning, where there is nothing."""
    known = ~np.isnan(values)
    count = known.sum(axis=axis)
    total = np.where(known, values, 0.0).sum(axis=axis)
    means: np.ndarray = np.where(count > 0, total / np.maximum(count, 1), np.nan)
    return means
