"""The mean of the probabilities of several regions of one volume."""

import torch
from torch import Tensor

from segment.inference.region import Region, union, within

SLAB = 32  # planes for which the softmax is computed at once


class MeanRegion:
    """Sums the probabilities of regions in the smallest box that holds all of them.

    The regions come from several networks, or from several views of one CT. Outside its box, a region says that the
    probability of background is 1. Memory holds the sum, and the region that is added.
    """

    def __init__(self) -> None:
        self._count = 0
        self._box: tuple[slice, ...] = ()
        self._total: Tensor | None = None

    def add(self, region: Region) -> None:
        """Add the softmax of the logits of a region."""
        box = tuple(slice(first, first + n) for first, n in zip(region.start, region.logits.shape[1:], strict=True))
        total = self._make_room(region.logits, box)
        self._count += 1
        total[0] += 1
        inner = within(box, self._box)
        part = total[(slice(None), *inner)]
        part[0] -= 1
        for first in range(0, part.shape[1], SLAB):
            part[:, first : first + SLAB] += region.logits[:, first : first + SLAB].softmax(dim=0)

    def region(self) -> Region:
        """Logarithm of the mean probabilities, in the memory of the sum, which is used up."""
        assert self._total is not None  # there is always a region
        return Region(log_of_mean(self._total, self._count), tuple(part.start for part in self._box))

    def _make_room(self, logits: Tensor, box: tuple[slice, ...]) -> Tensor:
        """The sum, enlarged if the box of a region reaches beyond it."""
        outer = union([box]) if self._total is None else union([self._box, box])
        if self._total is None or outer != self._box:
            total = logits.new_zeros((len(logits), *(part.stop - part.start for part in outer)))
            total[0] = self._count
            if self._total is not None:
                total[(slice(None), *within(self._box, outer))] = self._total
            self._total, self._box = total, outer
        return self._total


def log_of_mean(total: Tensor, count: int) -> Tensor:
    """Logarithm of the mean of `count` probabilities, computed in place from their sum. No value is infinite.

    Its softmax is the mean. For equal probabilities, it equals their logits up to a constant that all classes share, so
    interpolating it gives the same mask.
    """
    return total.div_(count).clamp_(min=torch.finfo(total.dtype).tiny).log_()
