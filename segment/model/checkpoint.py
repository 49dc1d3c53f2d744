"""Checkpoint files that can be handed on: atomic on disk and free of this machine's paths."""

import os
from pathlib import Path
from typing import Any

import torch
from pytorch_lightning.callbacks import ModelCheckpoint
from pytorch_lightning.plugins.io import TorchCheckpointIO

PATHS = ("best_model_path", "last_model_path", "kth_best_model_path")  # in ModelCheckpoint's state


class AtomicCheckpointIO(TorchCheckpointIO):
    """Write a checkpoint aside, flush it to the disk, then rename: at any instant the last good file is whole."""

    def save_checkpoint(self, checkpoint: dict[str, Any], path: Any, storage_options: Any = None) -> None:  # noqa: ANN401
        """Save tensors and plain values under `path`."""
        target = Path(path)
        target.parent.mkdir(parents=True, exist_ok=True)
        aside = target.with_name(f".{target.name}.part")
        try:
            with aside.open("wb") as file:
                torch.save(checkpoint, file)
                file.flush()
                os.fsync(file.fileno())
            aside.replace(target)
        except OSError:
            aside.unlink(missing_ok=True)  # a full disk must not stay full
            raise


class RelativeCheckpoint(ModelCheckpoint):
    """Lightning's ModelCheckpoint whose state names files relative to its folder.

    Lightning stores absolute paths, which a checkpoint would carry to everyone it is given to, and which are wrong
    after the run folder has moved.
    """

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
