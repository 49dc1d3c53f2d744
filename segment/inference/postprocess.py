"""Clean up masks after segmentation."""

import numpy as np
from scipy import ndimage

from segment.bounds import ShareAboveZero, in_range


class KeepLargest:
    """Keep the largest connected piece of each organ, and pieces that are nearly as large; remove all others.

    Args:
        min_share: Minimum size of a piece as a share of the largest piece's voxels, in (0, 1]. For example, 0.1 keeps
            pieces with at least a tenth of its voxels, and 1 keeps only the largest.

    Raises:
        UserError: When `min_share` is out of its range.
    """

    @in_range
    def __init__(self, min_share: ShareAboveZero) -> None:
        self.min_share = min_share

    def __call__(self, mask: np.ndarray) -> np.ndarray:
        """Cleaned copy of class indices (I,J,K); an empty mask stays empty."""
        result = np.zeros_like(mask)
        for index, box in enumerate(ndimage.find_objects(mask), start=1):
            if box is None:
                continue
            pieces, count = ndimage.label(mask[box] == index)
            sizes = np.bincount(pieces.ravel(), minlength=count + 1)
            sizes[0] = 0
            keep = sizes >= max(1, self.min_share * sizes.max())
            result[box][keep[pieces]] = index
        return result
