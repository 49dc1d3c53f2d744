"""Losses beside those of torch and MONAI, which configuration names directly."""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812

Criterion = Callable[[Tensor, Tensor], Tensor]


class DeepSupervision(nn.Module):
    """Weighted mean of a criterion over logits of several resolutions.

    The weights halve with every level, as in nnU-Net (Isensee et al. 2021, doi:10.1038/s41592-020-01008-z). A single
    tensor is simply passed on, so this also serves networks without deep supervision, and validation.

    Args:
        criterion: Called with logits (B,C,I,J,K) float32 and label (B,1,I,J,K); returns a scalar.
    """

    def __init__(self, criterion: Criterion) -> None:
        super().__init__()
        self.criterion = criterion

    def forward(self, logits: Tensor | Sequence[Tensor], label: Tensor) -> Tensor:
        """Loss of logits, the finest first, against a label (B,1,I,J,K) of class indices.

        Sums over a whole patch overflow half precision, so all is computed in float32.
        """
        levels = [logits] if isinstance(logits, Tensor) else list(logits)
        with torch.autocast(label.device.type, enabled=False):
            losses = [self.criterion(level.float(), _resized(label, level.shape[2:])) for level in levels]
        weights = [0.5**index for index in range(len(losses))]
        return torch.stack([w * loss for w, loss in zip(weights, losses, strict=True)]).sum() / sum(weights)


def _resized(label: Tensor, size: Sequence[int]) -> Tensor:
    """The label on a coarser grid, by nearest neighbour."""
    if label.shape[2:] == size:
        return label
    return F.interpolate(label.float(), size=list(size), mode="nearest-exact")
