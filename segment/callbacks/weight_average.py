"""Averages of the weights over training. Validation, tests and checkpoints use the average."""

from collections.abc import Callable
from typing import Any

import pytorch_lightning as pl
import torch
from pytorch_lightning.callbacks import WeightAveraging
from pytorch_lightning.trainer.states import TrainerFn
from torch import Tensor

from segment.bounds import ShareBelowOne, in_range
from segment.errors import UserError
from segment.model.lightning_internals import averaged_model


class _Average(WeightAveraging):
    """Base class of `EMA` and `SWA`.

    In a checkpoint, `state_dict` holds the average and `current_model_state` holds the weights to resume from. Running
    statistics of normalisation layers are averaged like weights; counters are copied.

    Args:
        average: Called with the old average, the current value and the number of values in the old average; returns
            the new average.
    """

    def __init__(self, average: Callable[[Tensor, Tensor, Tensor], Tensor]) -> None:
        def update(averaged: Tensor, current: Tensor, count: Tensor) -> Tensor:
            return average(averaged, current, count) if averaged.is_floating_point() else current

        super().__init__(avg_fn=update)

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Move the average to the network's device. Lightning copies the network before it moves it there."""
        averaged_model(self).to(pl_module.device)

    def on_load_checkpoint(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, checkpoint: dict[str, Any]
    ) -> None:
        """Restore both sets of weights for training. A test uses the average, which is loaded already."""
        if trainer.state.fn == TrainerFn.FITTING:
            super().on_load_checkpoint(trainer, pl_module, checkpoint)


class EMA(_Average):
    """Exponential moving average of the weights, updated after every optimizer step.

    After n updates the decay is min(decay, (1 + n) / (10 + n)), as in TensorFlow's `ExponentialMovingAverage`. With a
    constant decay, the initial weights would dominate the average for thousands of steps.

    Args:
        decay: Share of the old average that is kept at each update, in [0, 1).

    Raises:
        UserError: When the decay is out of its range.
    """

    @in_range
    def __init__(self, decay: ShareBelowOne) -> None:
        def average(averaged: Tensor, current: Tensor, count: Tensor) -> Tensor:
            kept = torch.clamp((1 + count) / (10 + count), max=decay)
            return torch.lerp(current, averaged, kept.to(averaged.dtype))

        super().__init__(average)


class SWA(_Average):
    """Stochastic weight averaging: the mean of the weights at the ends of the last epochs (Izmailov et al. 2018).

    See arXiv 1803.05407. Before the first of these epochs, the average equals the current weights. The weights of an
    epoch are added before its validation, so the saved weights are the ones that were validated.

    Args:
        start: Share of all epochs after which averaging starts, in [0, 1).

    Raises:
        UserError: When the share is out of its range.
    """

    @in_range
    def __init__(self, start: ShareBelowOne) -> None:
        super().__init__(lambda averaged, current, count: averaged + (current - averaged) / (count + 1))
        self.start = start

    def setup(self, trainer: pl.Trainer, pl_module: pl.LightningModule, stage: str) -> None:
        """Copy the network, before the first epoch.

        Raises:
            UserError: When `trainer.max_epochs` is not set.
        """
        if stage == "fit" and trainer.max_epochs in (None, -1):
            msg = f"stochastic weight averaging starts at a share of trainer.max_epochs={trainer.max_epochs}; set it"
            raise UserError(msg)
        super().setup(trainer, pl_module, stage)

    def should_update(self, step_idx: int | None = None, epoch_idx: int | None = None) -> bool:
        """False, because Lightning would update at the end of an epoch, after the validation."""
        return False

    def on_train_batch_end(
        self,
        trainer: pl.Trainer,
        pl_module: pl.LightningModule,
        outputs: Any,  # noqa: ANN401
        batch: Any,  # noqa: ANN401
        batch_idx: int,
    ) -> None:
        """Add the weights to the average after the last step of an epoch."""
        if not trainer.is_last_batch:
            return
        assert trainer.max_epochs is not None  # checked in `setup`
        average = averaged_model(self)
        if trainer.current_epoch <= int(self.start * trainer.max_epochs):
            average.n_averaged.zero_()  # the update then copies
        average.update_parameters(pl_module)
