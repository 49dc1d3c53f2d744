"""Learning rate schedules, as factors of the optimizer's learning rate.

Each schedule is a formula of the step and of the total number of steps. A resumed run therefore continues exactly, and
a run that is resumed with more epochs continues on the curve of the longer run. (Torch's own schedules keep the length
that they were made with. With more epochs, their cosine would rise again.)

Schedules with the argument `epochs` are stepped after every epoch. Schedules with the argument `total_steps` are
stepped after every optimizer step, and `SegmentationModule` provides the number of steps.
"""

import math
from collections.abc import Callable
from typing import Any

from torch import Tensor
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LambdaLR

from segment.bounds import NonNegativeFloat, OpenShare, PositiveFloat, ShareBelowOne, in_range
from segment.errors import UserError


class Schedule(LambdaLR):
    """A `LambdaLR` that also sets the learning rate when it is restored.

    Torch restores the learning rate with the state of the optimizer. A run that had ended at 0 and is resumed with more
    epochs would then train an epoch at 0.
    """

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Restore the progress, and set the learning rate for it."""
        super().load_state_dict(state_dict)
        for group, rate, factor in zip(self.optimizer.param_groups, self.base_lrs, self.lr_lambdas, strict=True):
            group["lr"] = rate * factor(self.last_epoch)

    def get_last_lr(self) -> list[float | Tensor]:
        """The learning rates in use. Torch returns those of the checkpoint until the first step after a restore."""
        return [group["lr"] for group in self.optimizer.param_groups]


class Cosine(Schedule):
    """Half a cosine wave down to zero (Loshchilov and Hutter 2017, arXiv 1608.03983, eq. 5), stepped after every epoch.

    Args:
        optimizer: Its learning rate is scaled.
        epochs: Epochs of the whole run.

    Raises:
        UserError: When the number of epochs is not known.
    """

    def __init__(self, optimizer: Optimizer, epochs: int | None) -> None:
        super().__init__(optimizer, _with_warmup(_check_epochs(epochs), 0, _half_wave))


class Poly(Schedule):
    """(1 - progress)^power, as in nnU-Net (doi:10.1038/s41592-020-01008-z), stepped after every epoch.

    Args:
        optimizer: Its learning rate is scaled.
        epochs: Epochs of the whole run.
        power: Exponent, positive.

    Raises:
        UserError: When the number of epochs is not known.
    """

    @in_range
    def __init__(self, optimizer: Optimizer, epochs: int | None, power: PositiveFloat) -> None:
        super().__init__(optimizer, _with_warmup(_check_epochs(epochs), 0, lambda progress: (1 - progress) ** power))


class WarmupCosine(Schedule):
    """Linear warm-up, then `Cosine`, stepped after every optimizer step.

    Args:
        optimizer: Its learning rate is scaled.
        total_steps: Optimizer steps of the whole run.
        warmup: Share of the steps in the warm-up, in [0, 1).
    """

    @in_range
    def __init__(self, optimizer: Optimizer, total_steps: int, warmup: ShareBelowOne) -> None:
        super().__init__(optimizer, _with_warmup(total_steps, warmup, _half_wave))


class WarmupPoly(Schedule):
    """Linear warm-up, then `Poly`, stepped after every optimizer step.

    Args:
        optimizer: Its learning rate is scaled.
        total_steps: Optimizer steps of the whole run.
        warmup: Share of the steps in the warm-up, in [0, 1).
        power: Exponent, positive.
    """

    @in_range
    def __init__(self, optimizer: Optimizer, total_steps: int, warmup: ShareBelowOne, power: PositiveFloat) -> None:
        super().__init__(optimizer, _with_warmup(total_steps, warmup, lambda progress: (1 - progress) ** power))


class OneCycle(Schedule):
    """One cycle: half a cosine wave from 1/25 up to 1, then another one down to nearly 0 (Smith and Topin 2018).

    See arXiv 1708.07120. The numbers are those of `torch.optim.lr_scheduler.OneCycleLR`. Here the maximum is the
    optimizer's learning rate, and the momentum does not change.

    Args:
        optimizer: Its learning rate is scaled.
        total_steps: Optimizer steps of the whole run.
        rise: Share of the steps with a rising rate, in (0, 1).
    """

    @in_range
    def __init__(self, optimizer: Optimizer, total_steps: int, rise: OpenShare) -> None:
        top = rise * total_steps - 1

        def factor(step: int) -> float:
            if step < top:
                return 1 - (1 - 1 / 25) * _half_wave(step / top)
            return 4e-6 + (1 - 4e-6) * _half_wave(_fraction(step - top, total_steps - 1 - top))

        super().__init__(optimizer, factor)


class CosineToConstant(Schedule):
    """Half a cosine wave down to a constant, for stochastic weight averaging (`segment.callbacks.weight_average.SWA`).

    Args:
        optimizer: Its learning rate is scaled.
        total_steps: Optimizer steps of the whole run.
        start: Share of the steps after which the rate is constant, in (0, 1).
        floor: The constant, as a factor of the optimizer's learning rate.
    """

    @in_range
    def __init__(self, optimizer: Optimizer, total_steps: int, start: OpenShare, floor: NonNegativeFloat) -> None:
        steps_down = int(start * total_steps)
        super().__init__(optimizer, lambda step: floor + (1 - floor) * _half_wave(_fraction(step, steps_down)))


def _check_epochs(epochs: int | None) -> int:
    """The number of epochs. In Lightning, None and -1 mean that there is no limit."""
    if epochs is None or epochs < 1:
        msg = (
            f"the learning rate schedule needs the number of epochs, and trainer.max_epochs is {epochs}; set it, or "
            "give scheduler=none"
        )
        raise UserError(msg)
    return epochs


def _with_warmup(total_steps: int, warmup: float, decay: Callable[[float], float]) -> Callable[[int], float]:
    """Factor by step: (step + 1) / n in the n steps of the warm-up, then `decay` of the progress in [0, 1]."""
    first = round(warmup * total_steps)

    def factor(step: int) -> float:
        if step < first:
            return (step + 1) / first
        return decay(_fraction(step - first, total_steps - first))

    return factor


def _half_wave(progress: float) -> float:
    """Half a cosine wave, from 1 at progress 0 down to 0 at progress 1."""
    return (1 + math.cos(math.pi * progress)) / 2


def _fraction(part: float, whole: float) -> float:
    """Part divided by whole, at most 1; 1 if the whole is 0."""
    return min(1.0, part / whole) if whole > 0 else 1.0
