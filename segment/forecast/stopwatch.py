"""Callback that measures the times of a trial."""

import math
import time
from collections.abc import Mapping
from typing import Any

import pytorch_lightning as pl
import torch

from segment.errors import UserError
from segment.forecast.forecast import TrialTimes
from segment.memory import measure as memory
from segment.run.resource_use import peak


class Stopwatch(pl.Callback):
    """Measure one epoch with its validation, then end training; measure a test, if there is one.

    Must be the last callback. The first half of the steps is a warm-up, in which the loader's workers fill their queue;
    `step_s` and `waiting` come from the second half.
    """

    def __init__(self) -> None:
        self.started = self.epoch_started = self.trained = self.ended = time.perf_counter()
        self.starts: list[float] = []  # when each batch was loaded
        self.ends: list[float] = []  # when each step was done
        self.validation_s = self.volume_s = self.test_s = 0.0
        self.worker_bytes = self.train_peak = 0

    def start(self) -> None:
        """Start the clock, after data, network and trainer are built: the run has built its own already."""
        self.started = time.perf_counter()

    def trial(self, device: torch.device) -> TrialTimes:
        """Times and memory of the trial, measured on this device."""
        in_steps = self.ends[-1] - self.starts[0]
        return TrialTimes(
            steps=len(self.ends),
            once_s=self.epoch_started - self.started + self.ended - self.trained,
            step_s=self._step_s(),
            waiting=self._waiting(),
            epoch_s=self.trained - self.epoch_started - in_steps - self.validation_s,
            volume_s=self.volume_s,
            validation_s=self.validation_s - self.volume_s,
            test_s=self.test_s,
            memory_bytes=max(self.train_peak + self.worker_bytes, peak()),
            gpu_bytes=memory.gpu_peak(device),
        )

    def _step_s(self) -> float:
        """Mean time from one step to the next, over the second half of the steps."""
        half = len(self.ends) // 2
        if not half:
            return self.ends[0] - self.starts[0]
        return (self.ends[-1] - self.ends[half - 1]) / (len(self.ends) - half)

    def _waiting(self) -> float:
        """Fraction of this time that is spent waiting for patches; 0 after a single step."""
        half = len(self.ends) // 2
        if not half:
            return 0.0
        waits = [start - end for start, end in zip(self.starts[half:], self.ends[half - 1 : -1], strict=True)]
        return sum(waits) / (self.ends[-1] - self.ends[half - 1])

    def on_train_epoch_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Note the start of the epoch."""
        self.epoch_started = time.perf_counter()

    def on_train_batch_start(
        self,
        trainer: pl.Trainer,
        pl_module: pl.LightningModule,
        batch: Any,  # noqa: ANN401
        batch_idx: int,
    ) -> None:
        """Note that a batch is loaded."""
        self.starts.append(time.perf_counter())

    def on_train_batch_end(
        self,
        trainer: pl.Trainer,
        pl_module: pl.LightningModule,
        outputs: Mapping[str, Any],  # type: ignore[override]  # Lightning's own type is Tensor | Mapping | None
        batch: Mapping[str, Any],
        batch_idx: int,
    ) -> None:
        """Note the end of a step, and the memory after the last one.

        Raises:
            UserError: When the loss is not finite.
        """
        loss = float(outputs["loss"])  # waits for the GPU
        self.ends.append(time.perf_counter())
        if not math.isfinite(loss):
            cases = ", ".join(batch["case"])
            msg = (
                f"the loss of step {batch_idx + 1} ({cases}) is {loss}; look at these cases, or lower the learning rate"
            )
            raise UserError(msg)
        if trainer.is_last_batch:
            self.worker_bytes, self.train_peak = memory.workers(), peak()

    def on_validation_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Start timing the validation."""
        self.validation_s = self.volume_s = -time.perf_counter()

    def on_validation_batch_end(
        self,
        trainer: pl.Trainer,
        pl_module: pl.LightningModule,
        outputs: Any,  # noqa: ANN401
        batch: Any,  # noqa: ANN401
        batch_idx: int,
        dataloader_idx: int = 0,
    ) -> None:
        """Note the end of its only volume."""
        self.volume_s += time.perf_counter()

    def on_validation_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Note the end of the validation, including its scores."""
        self.validation_s += time.perf_counter()

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """End training after one epoch; max_epochs is not changed, because learning rate schedules depend on it."""
        trainer.should_stop = True

    def on_train_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Note the end of the epoch, including its checkpoints."""
        self.trained = time.perf_counter()

    def on_fit_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Note the end of `fit`."""
        self.ended = time.perf_counter()

    def on_test_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Start timing the test."""
        self.test_s -= time.perf_counter()

    def on_test_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Note the end of the test."""
        self.test_s += time.perf_counter()
