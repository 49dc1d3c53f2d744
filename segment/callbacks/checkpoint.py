"""Checkpoint files that can be handed on: atomic on disk and free of this machine's paths."""

from pathlib import Path
from typing import Any

import pytorch_lightning as pl
import torch
from pytorch_lightning.callbacks import ModelCheckpoint
from pytorch_lightning.plugins.io import TorchCheckpointIO

from segment.errors import UserError
from segment.files import atomic_write

PATHS = ("best_model_path", "last_model_path", "kth_best_model_path")  # in ModelCheckpoint's state


class AtomicCheckpointIO(TorchCheckpointIO):
    """Write a checkpoint aside, flush it to the disk, then rename: at any instant the last good file is whole."""

    def save_checkpoint(self, checkpoint: dict[str, Any], path: Any, storage_options: Any = None) -> None:  # noqa: ANN401
        """Save tensors and plain values under `path`.

        Raises:
            UserError: When the disk is full or refuses; an older file stays as it was.
        """
        target = Path(path)
        for left_by_a_kill in target.parent.glob(f".*.{target.name}"):
            left_by_a_kill.unlink()
        try:
            with atomic_write(target) as aside, aside.open("wb") as file:
                torch.save(checkpoint, file)
        except (OSError, RuntimeError) as error:
            # torch complains of its archive and hides what the system said.
            reason = error if isinstance(error, OSError) else error.__context__
            if not isinstance(reason, OSError):
                raise
            msg = f"cannot write the checkpoint {target.name}: {reason.strerror}; fix that and resume with resume=true"
            raise UserError(msg) from error


class RelativeCheckpoint(ModelCheckpoint):
    """Lightning's ModelCheckpoint whose state names files relative to its folder.

    Lightning stores absolute paths, which a checkpoint would carry to everyone it is given to, and which are wrong
    after the run folder has moved.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:  # noqa: ANN401  # Lightning's, which are many
        super().__init__(*args, **kwargs)
        if self.save_top_k not in (0, 1) and "{" not in (self.filename or ""):
            msg = (
                f"callbacks.checkpoint.save_top_k={self.save_top_k} needs a name for each file, e.g. "
                "'callbacks.checkpoint.filename=\"{epoch}\"'; under one name the last one written would stay, not the "
                "best"
            )
            raise UserError(msg)

    def setup(self, trainer: pl.Trainer, pl_module: pl.LightningModule, stage: str) -> None:
        """Save at the end of epochs: a checkpoint of the validation before it would train that epoch's end again."""
        if self._save_on_train_epoch_end is None:
            self._save_on_train_epoch_end = True
        super().setup(trainer, pl_module, stage)

    def state_dict(self) -> dict[str, Any]:
        """State with file names in place of paths."""
        state = super().state_dict()
        state["dirpath"] = "."
        for key in PATHS:
            state[key] = Path(state[key]).name
        state["best_k_models"] = {Path(path).name: score for path, score in state["best_k_models"].items()}
        return state

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Take the state up in this run's folder."""
        state = dict(state_dict)
        state["dirpath"] = self.dirpath
        folder = Path(self.dirpath or ".")
        for key in PATHS:
            state[key] = str(folder / state[key]) if state[key] else ""
        state["best_k_models"] = {str(folder / name): score for name, score in state["best_k_models"].items()}
        super().load_state_dict(state)
        self.current_score = state["current_score"]  # Lightning leaves it out: the next checkpoint would lack it
