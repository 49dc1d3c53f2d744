"""Early stopping that stays: a run that has stopped early does not train on when it is resumed."""

import logging
from typing import Any

import pytorch_lightning as pl
from pytorch_lightning.callbacks import EarlyStopping
from pytorch_lightning.callbacks.early_stopping import EarlyStoppingReason

log = logging.getLogger(__name__)


class StopEarly(EarlyStopping):
    """Lightning's EarlyStopping, which keeps in its state why it has stopped but does not heed it.

    The patience is that of the configuration, where Lightning takes that of the checkpoint: with more of it, a run that
    has stopped trains on.
    """

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Take everything up but the patience."""
        patience = self.patience
        super().load_state_dict(state_dict)
        self.patience = patience
        if self.stopping_reason is EarlyStoppingReason.PATIENCE_EXHAUSTED and self.wait_count < patience:
            self.stopping_reason, self.stopping_reason_message = EarlyStoppingReason.NOT_STOPPED, None
            self.stopped_epoch = 0

    def setup(self, trainer: pl.Trainer, pl_module: pl.LightningModule, stage: str) -> None:
        """Look after validations only: an epoch without one has no new score."""
        if self._check_on_train_epoch_end is None:
            self._check_on_train_epoch_end = False
        super().setup(trainer, pl_module, stage)

    def on_fit_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Stay stopped."""
        if self.stopping_reason is not EarlyStoppingReason.NOT_STOPPED:
            log.info("the run has stopped early: %s", self.stopping_reason_message)
            trainer.should_stop = True
