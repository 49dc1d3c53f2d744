"""Shift schedules of the trial, so that its epoch takes as long as one in the middle of the run."""

from collections.abc import Iterable

import pytorch_lightning as pl
from torch import nn

from segment.callbacks.freeze import Freeze
from segment.model.combined_loss import Ramp


def shift_schedules(epoch: int, criterion: nn.Module, callbacks: Iterable[pl.Callback]) -> None:
    """Make ramps of losses and freezes of parameters start and end earlier, so that epoch 0 is like `epoch`.

    Epoch 0 of a run may be cheaper than the rest: a loss whose weight is still 0 is not computed, and frozen
    parameters get no gradient.

    Args:
        epoch: The epoch of the run that epoch 0 of the trial shall be like.
        criterion: The loss; its `Ramp` modules are modified in place.
        callbacks: The callbacks; those of type `Freeze` are modified in place.
    """
    for part in criterion.modules():
        if isinstance(part, Ramp):
            part.start_epoch -= epoch
            part.end_epoch -= epoch
    for callback in callbacks:
        if isinstance(callback, Freeze) and callback.until_epoch is not None:
            callback.until_epoch -= epoch
