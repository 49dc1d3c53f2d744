"""What training has used in this process: seconds per epoch, memory of the GPU."""

import time

import pytorch_lightning as pl
import torch

from segment.run.use import GIB


class TrainingUse(pl.Callback):
    """Measure whole epochs, with validation and checkpoints, and the peak of the GPU's memory.

    Goes behind all other callbacks, those that write checkpoints included.
    """

    def __init__(self) -> None:
        self.starts: list[float] = []  # of epochs; the last one is the end of training
        self.device = torch.device("cpu")

    def so_far(self) -> dict[str, float]:
        """`epoch_s`, the mean over epochs that began and ended here, and `peak_gpu_memory_gib`, of tensors.

        Either is missing when there is none.
        """
        facts = {}
        if len(self.starts) > 1:
            facts["epoch_s"] = round((self.starts[-1] - self.starts[0]) / (len(self.starts) - 1), 3)
        if self.device.type == "cuda":
            facts["peak_gpu_memory_gib"] = round(torch.cuda.max_memory_allocated(self.device) / GIB, 3)
        return facts

    def on_fit_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Forget the peak of the pre-flight and of earlier jobs of this process."""
        self.device = trainer.strategy.root_device
        if self.device.type == "cuda":
            torch.cuda.reset_peak_memory_stats(self.device)

    def on_train_epoch_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Note the time; not called for an epoch that is resumed in its middle."""
        self.starts.append(time.monotonic())

    def on_train_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Note the end of the last epoch."""
        if self.starts:
            self.starts.append(time.monotonic())
