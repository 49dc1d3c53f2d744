"""Early stopping that survives a resume: a run that has stopped early does not continue to train."""

import logging
from typing import Any

import pytorch_lightning as pl
from pytorch_lightning.callbacks import EarlyStopping
from pytorch_lightning.callbacks.early_stopping import EarlyStoppingReason

from segment.model.lightning_internals import check_after_validation

log = logging.getLogger(__name__)


class StopEarly(EarlyStopping):
    """Lightning's EarlyStopping, which also stops a resumed run that had stopped before.

    Lightning restores the reason of a stop but ignores it, and it overwrites the patience by the saved one. Here the
    patience of the configuration counts. For example, a run that stopped with `patience=5` trains again when it is
    resumed with `patience=10`.
    """

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Restore everything except the patience."""
        patience = self.patience
        super().load_state_dict(state_dict)
        self.patience = patience
        if self.stopping_reason is EarlyStoppingReason.PATIENCE_EXHAUSTED and self.wait_count < patience:
            self.stopping_reason, self.stopping_reason_message = EarlyStoppingReason.NOT_STOPPED, None
            self.stopped_epoch = 0

    def setup(self, trainer: pl.Trainer, pl_module: pl.LightningModule, stage: str) -> None:
        """Check only after validations: an epoch without one has no new score."""
        check_after_validation(self)
        super().setup(trainer, pl_module, stage)

    def on_fit_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Stop a run that had stopped before."""
        if self.stopping_reason is not EarlyStoppingReason.NOT_STOPPED:
            log.info("the run has stopped early: %s", self.stopping_reason_message)
            trainer.should_stop = True
