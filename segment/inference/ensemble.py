"""Segment with an ensemble of networks."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from segment.inference.memory import check_volume
from segment.inference.region import Region, union, within
from segment.inference.search.organ_search import Search
from segment.inference.segmenter import Segmenter

SLAB = 32  # planes of a volume for which the softmax is computed at once


class EnsembleSegmenter(Segmenter):
    """Segment with the mean of the softmax probabilities of several networks, on the preprocessed grid.

    The networks run one after the other. Memory holds the sum and the logits of one network.

    Args:
        members: Segmenters with equal preprocessing and post-processing. Each uses its own sliding window.
    """

    def __init__(self, members: Sequence[Segmenter]) -> None:
        first = members[0]
        nets = nn.ModuleList(member.net for member in members).train(first.net.training)
        super().__init__(nets, first.transform, first.inferer, first.postprocess, first.classes)
        self.members = members

    def check(self, size: Sequence[int]) -> None:
        """As `Segmenter.check`, for each member with the sum."""
        for member in self.members:
            check_volume(member.net, member.inferer, size, self.classes, len(self.members))

    def logits(self, image: Tensor) -> Tensor:
        """Logarithm of the mean probabilities (1,C,I,J,K). Its softmax is the mean probabilities.

        For equal members, this equals their logits up to a constant that all classes share. `restore` interpolates it
        and therefore gives the same mask as one member.
        """
        total: Tensor | None = None
        for member in self.members:
            total = _add(total, _softmax(member.logits(image)))
        assert total is not None  # there is always a member
        return total.div_(len(self.members)).clamp_(min=torch.finfo(total.dtype).tiny).log_()

    def window_logits(self, window: Tensor) -> Tensor:
        """Logits of the first member: a second look costs the same share of the time as for one network, or less."""
        return self.members[0].run(window)

    def region(self, image: Tensor, exact: bool) -> tuple[Region, list[Search]]:
        """As `Segmenter.region`. Where a member has not looked, its probability of background is 1."""
        if exact:
            return super().region(image, exact)
        regions, searches = [], []
        for member in self.members:
            region, search = member.region(image, exact)
            regions.append(region)
            searches += search
        boxes = [_box(region) for region in regions]
        outer = union(boxes)
        total = regions[0].logits.new_zeros((self.classes, *(part.stop - part.start for part in outer)))
        total[0] = len(regions)
        for region, box in zip(regions, boxes, strict=True):
            part = within(box, outer)
            total[(slice(None), *part)] += region.logits.softmax(dim=0)
            total[0][part] -= 1
        logits = total.div_(len(regions)).clamp_(min=torch.finfo(total.dtype).tiny).log_()
        return Region(logits, tuple(part.start for part in outer)), searches


def _box(region: Region) -> tuple[slice, ...]:
    """The voxels of a region in the volume."""
    return tuple(slice(start, start + n) for start, n in zip(region.start, region.logits.shape[1:], strict=True))


def _softmax(logits: Tensor) -> Tensor:
    """Overwrite logits (1,C,I,J,K) with their probabilities, slab by slab."""
    for start in range(0, logits.shape[2], SLAB):
        part = logits[:, :, start : start + SLAB]
        part.copy_(part.softmax(dim=1))
    return logits


def _add(total: Tensor | None, probs: Tensor) -> Tensor:
    return probs if total is None else total.add_(probs)
