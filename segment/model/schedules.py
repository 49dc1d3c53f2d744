"""Learning rates over a run, as factors of the optimizer's own.

All are closed formulas of the step and of the number of steps, so a resumed run goes on exactly, and one that is
lengthened goes on along the longer curve, from its first step on. (Torch's own keep the length that they were made
with: lengthened, a cosine would rise again.) Those by epochs are stepped after each; those by optimizer steps are given
`total_steps` by `SegmentationModule`.
"""

import math
from collections.abc import Callable
from typing import Any

from torch.optim import Optimizer
from torch.optim.lr_scheduler import LambdaLR

from segment.bounds import NotNegative, Positive, RealShare, ShareBelowOne, in_range
from segment.errors import UserError


class Schedule(LambdaLR):
    """A `LambdaLR` that, taken up again, decides the learning rate of the next step, too.

    Torch leaves the rate to the optimizer's own state until the next step of the schedule: a run that had ended at 0
    and is lengthened would train an epoch at 0.
    """

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Take the progress up, and set the learning rate that belongs to it."""
        super().load_state_dict(state_dict)
        self._last_lr = [
            rate * factor(self.last_epoch) for rate, factor in zip(self.base_lrs, self.lr_lambdas, strict=True)
        ]
        for group, rate in zip(self.optimizer.param_groups, self._last_lr, strict=True):
            group["lr"] = rate


class Cosine(Schedule):
    """Half a cosine wave down to zero (Loshchilov and Hutter 2017, arXiv 1608.03983, eq. 5), stepped after every epoch.

    Args:
        optimizer: Whose learning rate it scales.
        epochs: Epochs of the whole run.

    Raises:
        UserError: When their number is not known.
    """

    def __init__(self, optimizer: Optimizer, epochs: int | None) -> None:
        super().__init__(optimizer, _warmed_up(_known(epochs), 0, _half_wave))


class Poly(Schedule):
    """(1 - progress)^power, as nnU-Net (doi:10.1038/s41592-020-01008-z), stepped after every epoch.

    Args:
        optimizer: Whose learning rate it scales.
        epochs: Epochs of the whole run.
        power: Exponent, positive.

    Raises:
        UserError: When their number is not known.
    """

    @in_range
    def __init__(self, optimizer: Optimizer, epochs: int | None, power: Positive) -> None:
        super().__init__(optimizer, _warmed_up(_known(epochs), 0, lambda progress: (1 - progress) ** power))


class WarmupCosine(Schedule):
    """Linear warm-up, then as `Cosine`, by optimizer steps.

    Args:
        optimizer: Whose learning rate it scales.
        total_steps: Optimizer steps of the whole run.
        warmup: Share of them that warms up, in [0, 1).
    """

    @in_range
    def __init__(self, optimizer: Optimizer, total_steps: int, warmup: ShareBelowOne) -> None:
        super().__init__(optimizer, _warmed_up(total_steps, warmup, _half_wave))


class WarmupPoly(Schedule):
    """Linear warm-up, then as `Poly`, by optimizer steps.

    Args:
        optimizer: Whose learning rate it scales.
        total_steps: Optimizer steps of the whole run.
        warmup: Share of them that warms up, in [0, 1).
        power: Exponent, positive.
    """

    @in_range
    def __init__(self, optimizer: Optimizer, total_steps: int, warmup: ShareBelowOne, power: Positive) -> None:
        super().__init__(optimizer, _warmed_up(total_steps, warmup, lambda progress: (1 - progress) ** power))


class OneCycle(Schedule):
    """Up and down once: half a cosine wave from 1/25 to 1, then one to nearly 0 (Smith and Topin 2018).

    See arXiv 1708.07120. The numbers are those of `torch.optim.lr_scheduler.OneCycleLR`, whose momentum is left alone
    here, and whose highest learning rate is the optimizer's own.

    Args:
        optimizer: Whose learning rate it scales.
        total_steps: Optimizer steps of the whole run.
        rise: Share of them on the way up, in (0, 1).
    """

    @in_range
    def __init__(self, optimizer: Optimizer, total_steps: int, rise: RealShare) -> None:
        top = rise * total_steps - 1

        def factor(step: int) -> float:
            if step < top:
                return 1 - (1 - 1 / 25) * _half_wave(step / top)
            return 4e-6 + (1 - 4e-6) * _half_wave(_share(step - top, total_steps - 1 - top))

        super().__init__(optimizer, factor)


class CosineToConstant(Schedule):
    """Half a cosine wave down to a constant, at which stochastic weight averaging collects its weights.

    Args:
        optimizer: Whose learning rate it scales.
        total_steps: Optimizer steps of the whole run.
        start: Share of them after which the rate is constant, in (0, 1).
        floor: The constant, as a factor of the optimizer's learning rate.
    """

    @in_range
    def __init__(self, optimizer: Optimizer, total_steps: int, start: RealShare, floor: NotNegative) -> None:
        super().__init__(
            optimizer, lambda step: floor + (1 - floor) * _half_wave(_share(step, int(start * total_steps)))
        )


def _known(epochs: int | None) -> int:
    """The number of epochs, where Lightning takes None or -1 for no end."""
    if epochs is None or epochs < 1:
        msg = (
            f"the learning rate schedule needs the number of epochs, and trainer.max_epochs is {epochs}; set it, or "
            "give "
            "scheduler=none"
        )
        raise UserError(msg)
    return epochs


def _warmed_up(total_steps: int, warmup: float, decay: Callable[[float], float]) -> Callable[[int], float]:
    """Factor by step: (step + 1) / n within the n steps of the warm-up, then the decay of a progress in [0, 1]."""
    first = round(warmup * total_steps)

    def factor(step: int) -> float:
        return (step + 1) / first if step < first else decay(_share(step - first, total_steps - first))

    return factor


def _half_wave(progress: float) -> float:
    """From 1 down to 0."""
    return (1 + math.cos(math.pi * progress)) / 2


def _share(part: float, whole: float) -> float:
    """Part of a whole, at most 1, also where the whole is nothing."""
    return min(1.0, part / whole) if whole > 0 else 1.0
