"""Early stopping that stays: a run that has stopped early does not train on when it is resumed."""

import pytorch_lightning as pl
from pytorch_lightning.callbacks import EarlyStopping
from pytorch_lightning.callbacks.early_stopping import EarlyStoppingReason


class StopEarly(EarlyStopping):
    """Lightning's EarlyStopping, which keeps in its state why it has stopped but does not heed it."""

    def on_fit_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Stay stopped."""
        if self.stopping_reason is not EarlyStoppingReason.NOT_STOPPED:
            trainer.should_stop = True
