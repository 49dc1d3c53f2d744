"""Several networks that segment as one."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from segment.inference.memory import check_volume
from segment.inference.segmenter import Segmenter

SLAB = 32  # planes of a volume whose probabilities are made at once


class EnsembleSegmenter(Segmenter):
    """Segment with the mean of several networks' softmax probabilities, on the preprocessed grid.

    One network runs after the other: beside the sum, the logits of one are in memory.

    Args:
        members: Segmenters with equal preprocessing and post-processing, which are the first one's here; each keeps
            its own sliding window.
    """

    def __init__(self, members: Sequence[Segmenter]) -> None:
        first = members[0]
        nets = nn.ModuleList(member.net for member in members).train(first.net.training)
        super().__init__(nets, first.transform, first.inferer, first.postprocess, first.classes)
        self.members = members

    def check(self, size: Sequence[int]) -> None:
        """As `Segmenter.check`, for every member beside the sum."""
        for member in self.members:
            check_volume(member.net, member.inferer, size, self.classes, len(self.members))

    def logits(self, image: Tensor) -> Tensor:
        """Logarithm of the mean probabilities (1,C,I,J,K), whose softmax they are.

        Of equal members it is their logits but for a number that all classes share, so that interpolating it, as
        `restore` does, gives the mask of one of them.
        """
        total: Tensor | None = None
        for member in self.members:
            total = _add(total, _softmax(member.logits(image)))
        assert total is not None  # there is always a member
        return total.div_(len(self.members)).clamp_(min=torch.finfo(total.dtype).tiny).log_()


def _softmax(logits: Tensor) -> Tensor:
    """Probabilities (1,C,I,J,K) in place of their logits, slab by slab."""
    for start in range(0, logits.shape[2], SLAB):
        part = logits[:, :, start : start + SLAB]
        part.copy_(part.softmax(dim=1))
    return logits


def _add(total: Tensor | None, probs: Tensor) -> Tensor:
    return probs if total is None else total.add_(probs)
