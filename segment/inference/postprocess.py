"""What anatomy knows about a mask and a network may not."""

import numpy as np
from scipy import ndimage

from segment.bounds import ShareAboveZero, in_range


class KeepLargest:
    """Keep each organ's largest connected piece and pieces of a share of it; the rest becomes background.

    Args:
        min_share: Pieces of at least this share of the largest one's voxels stay, in (0, 1]. 1 keeps the largest only.

    Raises:
        UserError: When it is out of its range.
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
