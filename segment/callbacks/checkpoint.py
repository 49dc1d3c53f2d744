"""Checkpoint files that are written atomically and hold no absolute paths."""

from pathlib import Path
from typing import Any

import pytorch_lightning as pl
import torch
from pytorch_lightning.callbacks import ModelCheckpoint
from pytorch_lightning.plugins.io import TorchCheckpointIO

from segment.errors import UserError
from segment.files import atomic_write
from segment.model.lightning_internals import save_after_epoch

PATHS = ("best_model_path", "last_model_path", "kth_best_model_path")  # keys of ModelCheckpoint's state


class AtomicCheckpointIO(TorchCheckpointIO):
    """Write a checkpoint to a temporary file, flush it to the disk, then rename it.

    If the process is killed at any instant, the previous checkpoint is still complete.
    """

    def save_checkpoint(self, checkpoint: dict[str, Any], path: Any, storage_options: Any = None) -> None:  # noqa: ANN401
        """Save tensors and plain values under `path`.

        Raises:
            UserError: When the system refuses to write, for example because the disk is full. An older file under
                `path` stays as it was.
        """
        target = Path(path)
        for temporary in target.parent.glob(f".*.{target.name}"):  # of a process that was killed while it wrote
            temporary.unlink()
        try:
            with atomic_write(target) as temporary, temporary.open("wb") as file:
                torch.save(checkpoint, file)
        except (OSError, RuntimeError) as error:
            # torch raises an error about its archive; the system's own error is the context of that one.
            reason = error if isinstance(error, OSError) else error.__context__
            if not isinstance(reason, OSError):
                raise
            msg = f"cannot write the checkpoint {target.name}: {reason.strerror}; fix that and resume with resume=true"
            raise UserError(msg) from error


class RelativeCheckpoint(ModelCheckpoint):
    """Lightning's ModelCheckpoint, with file names instead of absolute paths in its state.

    Everyone who gets the checkpoint could read absolute paths, and they would be wrong once the run folder is moved.

    An epoch without validation has no validation score. Lightning would save it under the score of an earlier epoch.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:  # noqa: ANN401  # the many options of ModelCheckpoint
        super().__init__(*args, **kwargs)
        self.validated_epoch = -1  # the last epoch that was validated by this process
        if self.save_top_k not in (0, 1) and "{" not in (self.filename or ""):
            msg = (
                f"callbacks.checkpoint.save_top_k={self.save_top_k} needs a different name for each file, e.g. "
                "'callbacks.checkpoint.filename=\"{epoch}\"'; under one name the last file would replace the best"
            )
            raise UserError(msg)

    def setup(self, trainer: pl.Trainer, pl_module: pl.LightningModule, stage: str) -> None:
        """Save when an epoch is complete.

        Lightning would save after the validation, before the hooks at the end of the epoch. A run that is resumed from
        such a checkpoint would call these hooks again.
        """
        save_after_epoch(self)
        super().setup(trainer, pl_module, stage)

    def on_validation_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Remember that this epoch has its own scores."""
        self.validated_epoch = trainer.current_epoch
        super().on_validation_end(trainer, pl_module)

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Save, unless the monitored score is that of an earlier epoch."""
        is_of_validation = self.monitor is not None and self.monitor.startswith("val/")
        if not is_of_validation or self.validated_epoch == trainer.current_epoch:
            super().on_train_epoch_end(trainer, pl_module)

    def state_dict(self) -> dict[str, Any]:
        """The state, with file names in place of paths."""
        state = super().state_dict()
        state["dirpath"] = "."
        for key in PATHS:
            state[key] = Path(state[key]).name
        state["best_k_models"] = {Path(path).name: score for path, score in state["best_k_models"].items()}
        return state

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Restore the state, with paths in the folder of this run."""
        state = dict(state_dict)
        state["dirpath"] = self.dirpath
        folder = Path(self.dirpath or ".")
        for key in PATHS:
            state[key] = str(folder / state[key]) if state[key] else ""
        state["best_k_models"] = {str(folder / name): score for name, score in state["best_k_models"].items()}
        super().load_state_dict(state)
        self.current_score = state["current_score"]  # Lightning saves it, but does not restore it
