"""The class with the highest logit."""

import math

import torch
from torch import Tensor

_SLAB_VOXELS = 1_000_000  # compared at a time, so that intermediate results stay small


def best_class(logits: Tensor) -> Tensor:
    """`logits.argmax(dim=0)` as uint8. Several times as fast, because torch's argmax is slow along the first axis.

    Args:
        logits: (C,I,J,K), C at most 256.
    """
    best = torch.zeros(logits.shape[1:], dtype=torch.uint8, device=logits.device)
    step = max(1, _SLAB_VOXELS // max(1, math.prod(best.shape[1:])))
    for start in range(0, len(best), step):
        slab = slice(start, start + step)
        highest = logits[0, slab]
        for index, values in enumerate(logits[1:, slab], start=1):
            best[slab].masked_fill_(values > highest, index)
            highest = torch.maximum(highest, values)
    return best
