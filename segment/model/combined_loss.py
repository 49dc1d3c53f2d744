"""Combine losses: over resolutions, as sums, with weights that change over epochs, and with class weights.

The losses themselves are in MONAI or in `segment.model.losses`.
"""

from collections.abc import Callable, Mapping, Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812

from segment.bounds import NonNegativeInt, in_range
from segment.errors import UserError

Criterion = Callable[[Tensor, Tensor], Tensor]


class DeepSupervision(nn.Module):
    """Weighted mean of a criterion over logits of several resolutions.

    Each level has half the weight of the next finer one, as in nnU-Net (Isensee et al. 2021,
    doi:10.1038/s41592-020-01008-z). A single tensor goes to the criterion as it is, so this also works for validation
    and for networks without deep supervision.

    Args:
        criterion: Called with logits (B,C,I,J,K) float32 and label (B,1,I,J,K); returns a scalar.
    """

    def __init__(self, criterion: Criterion) -> None:
        super().__init__()
        self.criterion = as_module(criterion)

    def forward(self, logits: Tensor | Sequence[Tensor], label: Tensor) -> Tensor:
        """Loss of logits, the finest first, against a label (B,1,I,J,K) of class indices.

        Computed in float32, because sums over a whole patch overflow in half precision.
        """
        levels = [logits] if isinstance(logits, Tensor) else list(logits)
        with torch.autocast(label.device.type, enabled=False):
            losses = [self.criterion(level.float(), _resize(label, level.shape[2:])) for level in levels]
        weights = [0.5**index for index in range(len(losses))]
        return torch.stack([w * loss for w, loss in zip(weights, losses, strict=True)]).sum() / sum(weights)


class Sum(nn.Module):
    """Sum of criteria.

    Args:
        terms: Criteria by name. The names let the configuration override one of them.
    """

    def __init__(self, terms: Mapping[str, Criterion]) -> None:
        super().__init__()
        self.terms = nn.ModuleDict({name: as_module(term) for name, term in terms.items()})

    def forward(self, logits: Tensor, label: Tensor) -> Tensor:
        """Sum of the criteria for logits (B,C,I,J,K) and label (B,1,I,J,K)."""
        return torch.stack([term(logits, label) for term in self.terms.values()]).sum()


class Ramp(nn.Module):
    """A criterion times a weight that changes linearly between two epochs and is constant before and after them.

    Args:
        criterion: Called with logits (B,C,I,J,K) and label (B,1,I,J,K); returns a scalar.
        start_weight: Weight up to `start_epoch`.
        end_weight: Weight from `end_epoch` on.
        start_epoch: The first epoch is 0.
        end_epoch: After `start_epoch`.

    Attributes:
        epoch: The trainer's epoch, which `SegmentationModule` sets before every batch.

    Raises:
        UserError: When an epoch is negative, or `end_epoch` does not come after `start_epoch`.
    """

    @in_range
    def __init__(
        self,
        criterion: Criterion,
        start_weight: float,
        end_weight: float,
        start_epoch: NonNegativeInt,
        end_epoch: NonNegativeInt,
    ) -> None:
        super().__init__()
        if end_epoch <= start_epoch:
            msg = f"a loss ramp's end_epoch={end_epoch} must come after its start_epoch={start_epoch}"
            raise UserError(msg)
        self.criterion = criterion
        self.start_weight, self.end_weight = start_weight, end_weight
        self.start_epoch, self.end_epoch = start_epoch, end_epoch
        self.epoch = 0

    @property
    def weight(self) -> float:
        """Weight in the current epoch."""
        progress = (self.epoch - self.start_epoch) / (self.end_epoch - self.start_epoch)
        return self.start_weight + min(max(progress, 0.0), 1.0) * (self.end_weight - self.start_weight)

    def forward(self, logits: Tensor, label: Tensor) -> Tensor:
        """The weighted loss. If the weight is 0, the criterion is not called."""
        if self.weight == 0:
            return logits.sum() * 0  # a zero that backward() accepts
        loss: Tensor = self.weight * self.criterion(logits, label)
        return loss


class Function(nn.Module):
    """Wrap a plain function of logits and label as a module."""

    def __init__(self, function: Criterion) -> None:
        super().__init__()
        self.function = function

    def forward(self, logits: Tensor, label: Tensor) -> Tensor:
        """The result of the function."""
        return self.function(logits, label)


def as_module(criterion: Criterion) -> nn.Module:
    """The criterion itself if it is a module, else a module that calls it."""
    return criterion if isinstance(criterion, nn.Module) else Function(criterion)


def set_epoch(criterion: nn.Module, epoch: int) -> None:
    """Set the epoch of every ramp in a criterion."""
    for part in criterion.modules():
        if isinstance(part, Ramp):
            part.epoch = epoch


def class_weights(
    weights: Mapping[str, float] | None, organs: Sequence[str], include_background: bool = True
) -> Tensor | None:
    """Class weights as a tensor, from weights by name.

    Args:
        weights: Weights of organs and of `background`; a class that is left out has weight 1. None: no weights.
        organs: Class i is organs[i-1].
        include_background: Whether the criterion includes the background.

    Returns:
        (C,) or, without background, (C-1,) float32; None if `weights` is None.

    Raises:
        UserError: When a name is not one of the classes or a weight is negative.
    """
    if weights is None:
        return None
    names = ["background", *organs]
    for name, weight in weights.items():
        if name not in names:
            msg = f"class_weights names {name}, which is none of {', '.join(names)}; take it out or add it to organs"
            raise UserError(msg)
        if weight < 0:
            msg = f"class_weights: {name} is {weight}; a weight is 0 or more"
            raise UserError(msg)
    included = names if include_background else organs
    return torch.tensor([float(weights.get(name, 1)) for name in included])


def _resize(label: Tensor, size: Sequence[int]) -> Tensor:
    """The label on a coarser grid, by nearest neighbour."""
    if label.shape[2:] == size:
        return label
    return F.interpolate(label.float(), size=list(size), mode="nearest-exact")
