"""Bones: a cortex around marrow."""

import numpy as np

from segment.phantom.region import Region


def add_bone(region: Region, distance: np.ndarray, marrow: np.ndarray | float, cortex_mm: float) -> None:
    """Add and claim a bone: a cortex of `cortex_mm` around marrow, whose HU deviate from the mean by `marrow`."""
    region.paint(distance, "cortical")
    region.paint(distance + np.float32(cortex_mm), "spongiosa", marrow)
    region.occupy(distance)
