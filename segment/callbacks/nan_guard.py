"""Callback that stops a run when its loss or gradients are not finite, and saves the batch that caused it."""

import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
import torch
from torch import Tensor
from torch.nn.utils import get_total_norm
from torch.optim import Optimizer

from segment.errors import UserError
from segment.files import atomic_write

log = logging.getLogger(__name__)


class NaNGuard(pl.Callback):
    """Stop before the step that would make the weights NaN, and save the batch and the weights before it.

    The guard checks the loss of every batch and, before the step, the norm of all gradients. Each check reads one
    number from the GPU, so the run waits for the GPU once or twice per batch. With 16-mixed only the loss is checked,
    because infinite gradients are normal there.

    The file loads with `weights_only=True`. It holds `batch` (image, label, annotated and case ids, as training got
    them), `state_dict`, `epoch`, `batch_idx`, `step` and `what`. With patches of `PatchDataset`, the run's seed, the
    epoch and batch_idx are enough to recreate the batch.

    Args:
        folder: Folder for the file, created when it is needed.
    """

    def __init__(self, folder: str | Path) -> None:
        self.folder = Path(folder)
        self.batch: Mapping[str, Any] = {}
        self.batch_idx = 0

    def on_train_batch_start(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, batch: Mapping[str, Any], batch_idx: int
    ) -> None:
        """Keep a reference to the batch."""
        self.batch, self.batch_idx = batch, batch_idx

    def on_before_backward(self, trainer: pl.Trainer, pl_module: pl.LightningModule, loss: Tensor) -> None:
        """Check the loss."""
        if not bool(torch.isfinite(loss).all()):
            self._stop(trainer, pl_module, "loss")

    def on_before_optimizer_step(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, optimizer: Optimizer
    ) -> None:
        """Check the gradients."""
        gradients = []
        for group in optimizer.param_groups:
            gradients += [parameter.grad for parameter in group["params"] if parameter.grad is not None]
        if trainer.precision != "16-mixed" and not bool(torch.isfinite(get_total_norm(gradients))):
            self._stop(trainer, pl_module, "gradient")

    def on_train_batch_end(
        self,
        trainer: pl.Trainer,
        pl_module: pl.LightningModule,
        outputs: Any,  # noqa: ANN401
        batch: Any,  # noqa: ANN401
        batch_idx: int,
    ) -> None:
        """Release the batch."""
        self.batch = {}

    def _stop(self, trainer: pl.Trainer, pl_module: pl.LightningModule, what: str) -> None:
        epoch, step = trainer.current_epoch, trainer.global_step
        rank = f"_rank_{trainer.global_rank}" if trainer.world_size > 1 else ""
        path = self.folder / f"epoch_{epoch}_batch_{self.batch_idx}{rank}.pt"
        batch = {key: _plain(value) for key, value in self.batch.items()}
        content = {
            "batch": batch,
            "state_dict": pl_module.state_dict(),
            "what": what,
            "epoch": epoch,
            "batch_idx": self.batch_idx,
            "step": step,
        }
        with atomic_write(path) as temporary:
            torch.save(content, temporary)
        cases = ", ".join(batch.get("case", [])) or "unknown cases"
        msg = (
            f"the {what} of epoch {epoch}, batch {self.batch_idx} (step {step}, {cases}) is not finite; the batch and "
            f"the weights before it are in {path}; look at these cases or lower the learning rate, then start a new run"
        )
        raise UserError(msg)


def _plain(value: Any) -> Any:  # noqa: ANN401
    """A copy that loads with weights_only: tensors, numbers and text. A TorchIO image keeps its voxels and affine."""
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items() if key in ("data", "affine")}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    return value if isinstance(value, Tensor | str | int | float | bool | None) else str(value)
