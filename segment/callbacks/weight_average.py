"""Averages of the weights over training, which validate, are tested and are kept in place of the last ones."""

from collections.abc import Callable
from typing import Any

import pytorch_lightning as pl
import torch
from pytorch_lightning.callbacks import WeightAveraging
from pytorch_lightning.trainer.states import TrainerFn
from torch import Tensor

from segment.bounds import ShareBelowOne, in_range
from segment.errors import UserError


class _Average(WeightAveraging):
    """What both averages share.

    `state_dict` of a checkpoint then holds the average, and `current_model_state` the weights that a resume goes on
    with. Running statistics of normalisation are averaged as weights are; counters are copied.

    Args:
        average: New average of the old one, the current value and the number of values in the old one.
    """

    def __init__(self, average: Callable[[Tensor, Tensor, Tensor], Tensor]) -> None:
        def update(averaged: Tensor, current: Tensor, count: Tensor) -> Tensor:
            return average(averaged, current, count) if averaged.is_floating_point() else current

        super().__init__(avg_fn=update)

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Follow the network to its device, on which it is not yet when Lightning makes the copy."""
        assert self._average_model is not None
        self._average_model.to(pl_module.device)

    def on_load_checkpoint(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, checkpoint: dict[str, Any]
    ) -> None:
        """Take both up again for training; a test after it keeps the average, which has been loaded already."""
        if trainer.state.fn == TrainerFn.FITTING:
            super().on_load_checkpoint(trainer, pl_module, checkpoint)


class EMA(_Average):
    """Exponential moving average of the weights, updated after every optimizer step.

    The average forgets faster at first, by min(decay, (1 + n) / (10 + n)) after n updates, as TensorFlow's
    `ExponentialMovingAverage` does; else it would hold the first weights for thousands of steps.

    Args:
        decay: Share of the old average that stays, in [0, 1).

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

    See arXiv 1803.05407. Before the first of these epochs the average is the weights themselves. An epoch's weights
    enter before its validation, so that what was scored is what is saved.

    Args:
        start: Share of all epochs after which averaging begins, in [0, 1).

    Raises:
        UserError: When the share is out of its range.
    """

    @in_range
    def __init__(self, start: ShareBelowOne) -> None:
        super().__init__(lambda averaged, current, count: averaged + (current - averaged) / (count + 1))
        self.start = start

    def should_update(self, step_idx: int | None = None, epoch_idx: int | None = None) -> bool:
        """Never at Lightning's own instants: its end of an epoch comes after the validation."""
        return False

    def on_train_batch_end(
        self,
        trainer: pl.Trainer,
        pl_module: pl.LightningModule,
        outputs: Any,  # noqa: ANN401
        batch: Any,  # noqa: ANN401
        batch_idx: int,
    ) -> None:
        """Take the weights of an epoch's last step into the average.

        Raises:
            UserError: When the run has no number of epochs.
        """
        if not trainer.is_last_batch:
            return
        if trainer.max_epochs is None or trainer.max_epochs < 1:
            msg = f"stochastic weight averaging begins at a share of trainer.max_epochs={trainer.max_epochs}; set it"
            raise UserError(msg)
        assert self._average_model is not None
        if trainer.current_epoch <= int(self.start * trainer.max_epochs):
            self._average_model.n_averaged.zero_()  # the update then copies
        self._average_model.update_parameters(pl_module)
