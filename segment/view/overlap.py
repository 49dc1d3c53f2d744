"""How far the prediction of an organ agrees with its reference, for the captions of pictures and videos."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np

from segment.view.scene import Scene


@dataclass(frozen=True)
class OrganOverlap:
    """An organ in a scene.

    Attributes:
        pred_ml: Volume of the prediction.
        reference_ml: Volume of the reference; None without a reference, or if it does not cover the organ.
        dice: Dice of the whole case; None if there is nothing to compare, or if both lack the organ.
    """

    pred_ml: float
    reference_ml: float | None = None
    dice: float | None = None

    @classmethod
    def of(cls, scene: Scene, index: int, annotated: Sequence[bool] | None = None) -> Self:
        """Measure the class `index`; `annotated` says whether the reference covers each class, None: all."""
        # Not np.bincount, which needs eight bytes per voxel instead of one.
        pred = scene.pred == index
        pred_ml = np.count_nonzero(pred) * scene.voxel_ml
        if scene.reference is None or not (annotated is None or annotated[index]):
            return cls(pred_ml)
        reference = scene.reference == index
        reference_ml = np.count_nonzero(reference) * scene.voxel_ml
        if not pred_ml + reference_ml:
            return cls(0.0, 0.0)
        # Twice the shared volume over the sum of both; 0 if the organ is absent from one.
        shared_ml = np.count_nonzero(pred & reference) * scene.voxel_ml
        return cls(pred_ml, reference_ml, 2 * shared_ml / (pred_ml + reference_ml))
