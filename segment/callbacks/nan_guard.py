"""A run whose loss is no number any more stops at once and keeps what broke it."""

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
    """Stop before the step that would spoil the weights, and keep the batch and the weights before it.

    Looks at the loss of every batch and, before the step, at the norm of all gradients: one number each, so a GPU is
    waited for once or twice a batch. With 16-mixed only at the loss, for there infinite gradients are usual.

    The file loads with `weights_only=True`. It holds `batch` (image, label, annotated and case ids as training got
    them), `state_dict`, `epoch`, `batch_idx`, `step` and `what`. With patches of `PatchDataset`, epoch and batch_idx
    also tell, with the run's seed, how to make the batch again.

    Args:
        folder: Where the file goes; made when needed.
    """

    def __init__(self, folder: str | Path) -> None:
        self.folder = Path(folder)
        self.batch: Mapping[str, Any] = {}
        self.batch_idx = 0

    def on_train_batch_start(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, batch: Mapping[str, Any], batch_idx: int
    ) -> None:
        """Remember which batch it is."""
        self.batch, self.batch_idx = batch, batch_idx

    def on_before_backward(self, trainer: pl.Trainer, pl_module: pl.LightningModule, loss: Tensor) -> None:
        """Look at the loss."""
        if not bool(torch.isfinite(loss).all()):
            self._stop(trainer, pl_module, "loss")

    def on_before_optimizer_step(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, optimizer: Optimizer
    ) -> None:
        """Look at the gradients."""
        gradients = [p.grad for group in optimizer.param_groups for p in group["params"] if p.grad is not None]
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
        """Let the batch go."""
        self.batch = {}

    def _stop(self, trainer: pl.Trainer, pl_module: pl.LightningModule, what: str) -> None:
        epoch, step = trainer.current_epoch, trainer.global_step
        rank = f"_rank_{trainer.global_rank}" if trainer.world_size > 1 else ""
        path = self.folder / f"epoch_{epoch}_batch_{self.batch_idx}{rank}.pt"
        plain = {key: _plain(value) for key, value in self.batch.items()}
        kept = {"batch": plain, "state_dict": pl_module.state_dict(), "what": what}
        with atomic_write(path) as aside:
            torch.save(kept | {"epoch": epoch, "batch_idx": self.batch_idx, "step": step}, aside)
        cases = ", ".join(plain.get("case", [])) or "unknown cases"
        msg = (
            f"the {what} of epoch {epoch}, batch {self.batch_idx} (step {step}, {cases}) is not finite; the batch and "
            f"the weights before it are in {path}; try a lower learning rate or look at these cases, and start a new "
            "run"
        )
        raise UserError(msg)


def _plain(value: Any) -> Any:  # noqa: ANN401
    """Only what loads with weights_only: tensors, numbers, text; of an image of TorchIO, its voxels."""
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items() if key in ("data", "affine")}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    return value if isinstance(value, Tensor | str | int | float | bool | None) else str(value)
