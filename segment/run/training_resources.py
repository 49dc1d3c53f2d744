"""Callback that measures seconds per epoch and GPU memory of a training."""

import time

import pytorch_lightning as pl
import torch

from segment.run.resource_use import GIB


class TrainingResources(pl.Callback):
    """Measure the time of whole epochs, including validation and checkpoints, and the peak memory of the GPU.

    This must be the last callback, after those that write checkpoints.
    """

    def __init__(self) -> None:
        self.starts: list[float] = []  # start of each epoch, and the end of the last one
        self.device = torch.device("cpu")

    def measured(self) -> dict[str, float]:
        """`epoch_s`, the mean over the epochs of this process, and `peak_gpu_memory_gib`, the peak of all tensors.

        `epoch_s` is left out before the end of the first whole epoch, and `peak_gpu_memory_gib` without a GPU.
        """
        measured = {}
        if len(self.starts) > 1:
            measured["epoch_s"] = round((self.starts[-1] - self.starts[0]) / (len(self.starts) - 1), 3)
        if self.device.type == "cuda":
            measured["peak_gpu_memory_gib"] = round(torch.cuda.max_memory_allocated(self.device) / GIB, 3)
        return measured

    def on_fit_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Reset the peak, which may come from the pre-flight or an earlier job of this process."""
        self.device = trainer.strategy.root_device
        if self.device.type == "cuda":
            torch.cuda.reset_peak_memory_stats(self.device)

    def on_train_epoch_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Record the time. Lightning does not call this for an epoch that is resumed in the middle."""
        self.starts.append(time.monotonic())

    def on_train_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Record the end of the last epoch."""
        if self.starts:
            self.starts.append(time.monotonic())
