"""Logits of the part of a volume that holds all organs."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from torch import Tensor

from segment.inference.best_class import best_class


@dataclass(frozen=True)
class Region:
    """Logits of a box. All voxels outside are background.

    Attributes:
        logits: (C,I,J,K) of the box.
        start: (I,J,K) of its first voxel in the volume.
    """

    logits: Tensor
    start: tuple[int, ...]

    def affine(self, affine: np.ndarray) -> np.ndarray:
        """Voxel → RAS+ mm of the box, from that of the volume."""
        result = np.array(affine, dtype=np.float64)
        result[:3, 3] += result[:3, :3] @ np.array(self.start, dtype=np.float64)
        return result

    def trimmed(self) -> "Region":
        """The smallest box around the organs; one voxel of background if there is none.

        Linear interpolation between voxels in which background has the highest logit gives background. So the mask on
        the CT's grid is that of the untrimmed box, as long as one voxel of background remains around the organs.
        """
        box = foreground_box(best_class(self.logits), margin=1)
        start = tuple(first + part.start for first, part in zip(self.start, box, strict=True))
        return Region(self.logits[(slice(None), *box)], start)


def foreground_box(mask: Tensor, margin: int) -> tuple[slice, ...]:
    """Box around the nonzero voxels of a mask (I,J,K), with a margin inside the mask; its first voxel if there is none.

    Args:
        mask: Class indices.
        margin: Voxels around the box.
    """
    if not mask.any():
        return (slice(0, 1),) * 3
    return tuple(_extent(mask, axis, margin) for axis in range(3))


def _extent(mask: Tensor, axis: int, margin: int) -> slice:
    profile = mask
    for other in sorted({0, 1, 2} - {axis}, reverse=True):
        profile = profile.amax(dim=other)
    filled = profile.nonzero()
    return slice(max(0, int(filled[0]) - margin), min(mask.shape[axis], int(filled[-1]) + 1 + margin))


def union(boxes: Sequence[tuple[slice, ...]]) -> tuple[slice, ...]:
    """The smallest box that holds all boxes."""
    return tuple(slice(min(b[a].start for b in boxes), max(b[a].stop for b in boxes)) for a in range(3))


def within(inner: Sequence[slice], outer: Sequence[slice]) -> tuple[slice, ...]:
    """A box in the coordinates of another one that holds it."""
    return tuple(slice(i.start - o.start, i.stop - o.start) for i, o in zip(inner, outer, strict=True))
