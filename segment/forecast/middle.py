"""A trial that costs what the middle of a run does."""

from collections.abc import Iterable

import pytorch_lightning as pl
from torch import nn

from segment.callbacks.freeze import Freeze
from segment.model.combined_loss import Ramp


def begin_at(epoch: int, criterion: nn.Module, callbacks: Iterable[pl.Callback]) -> None:
    """Let losses and parameters that begin to count at some epoch do so as many epochs earlier.

    In the first epoch of a run, a loss that weighs nothing yet is not computed, and what is frozen for some epochs has
    no gradient.

    Args:
        epoch: Which epoch the first one is to be like.
        criterion: Whose ramps are moved.
        callbacks: Among which a `Freeze` is moved.
    """
    for part in criterion.modules():
        if isinstance(part, Ramp):
            part.start_epoch -= epoch
            part.end_epoch -= epoch
    for callback in callbacks:
        if isinstance(callback, Freeze) and callback.until_epoch is not None:
            callback.until_epoch -= epoch
