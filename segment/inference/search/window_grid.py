"""The windows of a whole volume, and how much each of them decides about a mask."""

from collections.abc import Iterable, Sequence
from itertools import product

import torch
from torch import Tensor

from segment.inference.region import foreground_box
from segment.inference.sliding_window import SlidingWindow
from segment.inference.window_sum import Corner, gaussian
from segment.preprocess.separable import apply_along_axes, centred_positions


class WindowGrid:
    """The windows with which a sliding window covers a volume.

    Where windows overlap, their logits are averaged with Gaussian weights. The relative weight of a window in a voxel
    is its part of that average, from 0 to 1. It is a product of one factor for each axis.

    Args:
        inferer: The sliding window.
        size: (I,J,K) of the volume, at least the patch size.
        device: Where the volume is.
    """

    def __init__(self, inferer: SlidingWindow, size: Sequence[int], device: torch.device) -> None:
        self.size = tuple(size)
        self.axes = inferer.axes(size)
        self.corners: list[Corner] = list(product(*self.axes))
        self.relative = []
        for corners, n, patch in zip(self.axes, size, inferer.patch_size, strict=True):
            self.relative.append(_relative_weights(corners, n, patch).to(device))

    def shares(self, mask: Tensor, box: tuple[slice, ...]) -> Tensor:
        """Mean relative weight of every window over the voxels of an organ.

        Args:
            mask: Boolean (I,J,K) of the organ, in a box of the volume. The organ has no voxel outside.
            box: The box.

        Returns:
            A number in [0, 1] for each of `corners`. They sum to 1, or to 0 for an empty mask.
        """
        inner = foreground_box(mask, margin=0)  # as floats, the whole box may not fit into memory
        weights = []
        for relative, outer, part in zip(self.relative, box, inner, strict=True):
            weights.append(relative[:, outer.start + part.start : outer.start + part.stop])
        return self._shares(mask[inner], weights)

    def coarse_shares(self, mask: Tensor) -> Tensor:
        """As `shares`, for a mask of the whole volume on a coarser grid."""
        weights = []
        for relative, n, m in zip(self.relative, self.size, mask.shape, strict=True):
            nearest = centred_positions(n, m).round().long().clamp(0, n - 1)
            weights.append(relative[:, nearest.to(relative.device)])
        return self._shares(mask, weights)

    @staticmethod
    def _shares(mask: Tensor, weights: Sequence[Tensor]) -> Tensor:
        total = apply_along_axes(mask[None].float(), weights).flatten()
        return total / mask.sum().clamp(min=1)

    def above(self, shares: Iterable[Tensor], least: float) -> set[Corner]:
        """The windows with a share above `least` of at least one organ."""
        decisive: set[Corner] = set()
        for share in shares:
            decisive.update(self.corners[index] for index in (share > least).nonzero().flatten().tolist())
        return decisive


def _relative_weights(corners: Sequence[int], size: int, patch: int) -> Tensor:
    """Factor (windows, size) of the relative weights along one axis."""
    line = gaussian((patch,))
    weights = torch.zeros(len(corners), size, dtype=torch.float32)
    for row, corner in zip(weights, corners, strict=True):
        row[corner : corner + patch] = line
    return weights / weights.sum(dim=0)
