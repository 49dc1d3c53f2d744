"""How criteria are put together: over resolutions, as sums, with weights that change and weights of classes.

The criteria themselves are MONAI's or those of `segment.model.losses`.
"""

from collections.abc import Callable, Mapping, Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812

from segment.bounds import Whole, in_range
from segment.errors import UserError

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
        self.criterion = as_module(criterion)

    def forward(self, logits: Tensor | Sequence[Tensor], label: Tensor) -> Tensor:
        """Loss of logits, the finest first, against a label (B,1,I,J,K) of class indices.

        Sums over a whole patch overflow half precision, so all is computed in float32.
        """
        levels = [logits] if isinstance(logits, Tensor) else list(logits)
        with torch.autocast(label.device.type, enabled=False):
            losses = [self.criterion(level.float(), _resized(label, level.shape[2:])) for level in levels]
        weights = [0.5**index for index in range(len(losses))]
        return torch.stack([w * loss for w, loss in zip(weights, losses, strict=True)]).sum() / sum(weights)


class Sum(nn.Module):
    """Sum of criteria.

    Args:
        terms: Criteria by name, so that configuration can override one of them.
    """

    def __init__(self, terms: Mapping[str, Criterion]) -> None:
        super().__init__()
        self.terms = nn.ModuleDict({name: as_module(term) for name, term in terms.items()})

    def forward(self, logits: Tensor, label: Tensor) -> Tensor:
        """Sum over logits (B,C,I,J,K) and label (B,1,I,J,K)."""
        return torch.stack([term(logits, label) for term in self.terms.values()]).sum()


class Ramp(nn.Module):
    """A criterion times a weight that changes linearly from one epoch to another, and is constant before and after.

    Args:
        criterion: Called with logits (B,C,I,J,K) and label (B,1,I,J,K); returns a scalar.
        start_weight: Weight up to `start_epoch`.
        end_weight: Weight from `end_epoch` on.
        start_epoch: The first epoch is 0.
        end_epoch: After `start_epoch`.

    Attributes:
        epoch: The trainer's epoch, which `SegmentationModule` sets before every batch.

    Raises:
        UserError: When an epoch is negative, or they are in the wrong order.
    """

    @in_range
    def __init__(
        self, criterion: Criterion, start_weight: float, end_weight: float, start_epoch: Whole, end_epoch: Whole
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
        """Weight in this epoch."""
        progress = (self.epoch - self.start_epoch) / (self.end_epoch - self.start_epoch)
        return self.start_weight + min(max(progress, 0.0), 1.0) * (self.end_weight - self.start_weight)

    def forward(self, logits: Tensor, label: Tensor) -> Tensor:
        """The weighted loss; not computed where the weight is 0."""
        if self.weight == 0:
            return logits.sum() * 0  # still hangs on the logits
        loss: Tensor = self.weight * self.criterion(logits, label)
        return loss


class Function(nn.Module):
    """A plain function of logits and label as a criterion."""

    def __init__(self, function: Criterion) -> None:
        super().__init__()
        self.function = function

    def forward(self, logits: Tensor, label: Tensor) -> Tensor:
        """What the function returns."""
        return self.function(logits, label)


def as_module(criterion: Criterion) -> nn.Module:
    """The criterion, wrapped if it is a function."""
    return criterion if isinstance(criterion, nn.Module) else Function(criterion)


def set_epoch(criterion: nn.Module, epoch: int) -> None:
    """Tell every ramp in a criterion the epoch."""
    for part in criterion.modules():
        if isinstance(part, Ramp):
            part.epoch = epoch


def class_weights(
    weights: Mapping[str, float] | None, organs: Sequence[str], include_background: bool = True
) -> Tensor | None:
    """Weights of classes by name as a criterion wants them.

    Args:
        weights: By organ, and `background`; who is left out weighs 1. None: no weights.
        organs: Class i is organs[i-1].
        include_background: Whether the criterion looks at the background.

    Returns:
        (C,) or, without background, (C-1,) float32; None where none are given.

    Raises:
        UserError: When a name is none of the classes or a weight is negative.
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
    return torch.tensor([float(weights.get(name, 1)) for name in (names if include_background else organs)])


def _resized(label: Tensor, size: Sequence[int]) -> Tensor:
    """The label on a coarser grid, by nearest neighbour."""
    if label.shape[2:] == size:
        return label
    return F.interpolate(label.float(), size=list(size), mode="nearest-exact")
