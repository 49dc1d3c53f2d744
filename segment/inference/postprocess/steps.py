"""Steps that decide by size and connection which pieces of a mask to keep, and which holes to fill."""

from collections.abc import Mapping, Sequence

import numpy as np

from segment.bounds import NonNegativeFloat, ShareAboveZero, in_range
from segment.errors import UserError
from segment.inference.postprocess.pieces import Pieces

CUT_SHARE = 0.1  # of the smallest volume, for an organ that the border of the scan cuts


class RemoveFragments:
    """Remove the pieces of an organ that are small compared with its largest piece.

    Pieces that probably belong to the largest one need only a smaller share: those whose centre is in the box around
    the largest piece, such as the shell of a kidney with a dilated pelvis, and those that the border of the scan cuts
    together with it, such as the left lobe in a scan that begins in the middle of the liver. The latter must not touch
    another organ. A part of a spleen that is taken for liver usually touches the spleen.

    Args:
        min_share: Smallest piece that stays, as a share of the largest one's voxels, in (0, 1].
        min_share_connected: The same for pieces that probably belong to it, at most `min_share`.

    Raises:
        UserError: When a share is out of its range.
    """

    @in_range
    def __init__(self, min_share: ShareAboveZero, min_share_connected: ShareAboveZero = 1.0) -> None:
        self.min_share = min_share
        self.min_share_connected = min(min_share, min_share_connected)

    def __call__(self, pieces: Pieces, organs: Sequence[str]) -> np.ndarray:
        """New class index of each piece, (P,)."""
        value = pieces.value.copy()
        for index in range(1, len(organs) + 1):
            own = pieces.of(index)
            if len(own) > 1:
                voxels = pieces.voxels[own]
                largest = own[voxels == voxels.max()]
                share = np.where(_may_belong(pieces, own, largest), self.min_share_connected, self.min_share)
                value[own[voxels < share * voxels.max()]] = 0
        return value


class RemoveSmall:
    """Remove an organ that is smaller than in any patient, because something else was taken for it.

    An organ that the border of the scan cuts may be smaller: it needs `CUT_SHARE` of the volume.

    Args:
        min_ml: Smallest volume, by organ. Organs without a value stay.

    Raises:
        UserError: When a volume is not a positive number.
    """

    def __init__(self, min_ml: Mapping[str, float]) -> None:
        for organ, smallest in min_ml.items():
            if not smallest > 0:
                msg = f"min_ml.{organ} must be a positive number, got {smallest}"
                raise UserError(msg)
        self.min_ml = dict(min_ml)

    def __call__(self, pieces: Pieces, organs: Sequence[str]) -> np.ndarray:
        """New class index of each piece, (P,)."""
        value = pieces.value.copy()
        for index, organ in enumerate(organs, start=1):
            own = pieces.of(index)
            share = CUT_SHARE if pieces.cut[own].any() else 1.0
            if pieces.volume_ml[own].sum() < share * self.min_ml.get(organ, 0.0):
                value[own] = 0
        return value


class FillHoles:
    """Fill pieces of background that a single organ encloses. Gaps between two organs stay.

    Args:
        max_ml: Largest hole that is filled. A larger one may be something else, such as a gallbladder.
    """

    @in_range
    def __init__(self, max_ml: NonNegativeFloat) -> None:
        self.max_ml = max_ml

    def __call__(self, pieces: Pieces, organs: Sequence[str]) -> np.ndarray:
        """New class index of each piece, (P,)."""
        count = len(pieces.value)
        lowest, highest = np.full(count, 255, np.uint8), np.zeros(count, np.uint8)
        for here, there in (pieces.pairs.T, pieces.pairs.T[::-1]):
            np.minimum.at(lowest, here, pieces.value[there])
            np.maximum.at(highest, here, pieces.value[there])
        is_hole = (pieces.value == 0) & pieces.is_enclosed & (lowest == highest) & (pieces.volume_ml <= self.max_ml)
        return np.where(is_hole, highest, pieces.value)


def _may_belong(pieces: Pieces, own: np.ndarray, largest: np.ndarray) -> np.ndarray:
    """Whether each piece of an organ probably belongs to one of its largest pieces, (len(own),).

    Args:
        pieces: All pieces.
        own: Pieces of the organ.
        largest: The largest of them; several if they have the same size.
    """
    centre = pieces.sums[own] / (2 * pieces.voxels[own, None])
    touching = _touch_other_organ(pieces)[own]
    belongs = np.zeros(len(own), bool)
    for main in largest:
        belongs |= ((centre >= pieces.low[main]) & (centre <= pieces.high[main])).all(axis=1)
        belongs |= (pieces.cut[own] & pieces.cut[main]).any(axis=1) & ~touching
    return belongs


def _touch_other_organ(pieces: Pieces) -> np.ndarray:
    """Whether each piece touches a piece of an organ, other than the background, (P,)."""
    touching = np.zeros(len(pieces.value), bool)
    between_organs = pieces.pairs[(pieces.value[pieces.pairs] > 0).all(axis=1)]
    touching[between_organs] = True
    return touching
