"""Bounding boxes of organs."""

import numpy as np
from scipy import ndimage

Box = tuple[slice, slice, slice]


def organ_boxes(classes: np.ndarray, count: int) -> list[Box | None]:
    """Smallest box around each of the classes 1 to `count`; None for a class without voxels.

    Args:
        classes: (I,J,K) class indices, or a mask.
        count: Number of classes.
    """
    # SciPy scans the last axis first. Files store the first axis fastest: their transpose takes an eighth of the time.
    if classes.flags.c_contiguous:
        return list(ndimage.find_objects(classes, max_label=count))
    boxes = ndimage.find_objects(classes.T, max_label=count)
    return [None if box is None else (box[2], box[1], box[0]) for box in boxes]
