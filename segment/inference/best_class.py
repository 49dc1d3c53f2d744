"""The class with the highest logit."""

import torch
from torch import Tensor


def best_class(logits: Tensor) -> Tensor:
    """`logits.argmax(dim=0)` as uint8. Several times as fast, because torch's argmax is slow along the first axis."""
    highest = logits[0]
    best = torch.zeros(highest.shape, dtype=torch.uint8, device=logits.device)
    for index, values in enumerate(logits[1:], start=1):
        best.masked_fill_(values > highest, index)
        highest = torch.maximum(highest, values)
    return best
