"""Callback that makes the random numbers of a training batch independent of all batches before it."""

from typing import Any

import numpy as np
import pytorch_lightning as pl


class Reseed(pl.Callback):
    """Seed torch, numpy and random before every batch, from (seed, epoch, batch, rank).

    As a result, dropout uses the same random numbers in a run that was resumed within an epoch as in a run that never
    stopped.

    Args:
        seed: The run's seed.
    """

    def __init__(self, seed: int) -> None:
        self.seed = seed

    def on_train_batch_start(
        self,
        trainer: pl.Trainer,
        pl_module: pl.LightningModule,
        batch: Any,  # noqa: ANN401
        batch_idx: int,
    ) -> None:
        """Seed this batch."""
        numbers = (self.seed, trainer.current_epoch, batch_idx, trainer.global_rank)
        pl.seed_everything(int(np.random.SeedSequence(numbers).generate_state(1)[0]), verbose=False)
