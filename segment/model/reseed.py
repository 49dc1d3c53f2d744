"""Random numbers of training that do not hang on history."""

import numpy as np
import pytorch_lightning as pl


class Reseed(pl.Callback):
    """Seed torch, numpy and random anew at the start of every epoch, from (seed, epoch, process).

    So dropout draws the same numbers in a run that was stopped and resumed as in one that never stopped.

    Args:
        seed: The run's seed.
    """

    def __init__(self, seed: int) -> None:
        self.seed = seed

    def on_train_epoch_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Seed this epoch."""
        words = (self.seed, trainer.current_epoch, trainer.global_rank)
        pl.seed_everything(int(np.random.SeedSequence(words).generate_state(1)[0]), verbose=False)
