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
    """Measure one epoch with its validation, then end training. Measure the test, if there is one.

    This must be the last callback. During the first half of the steps the data workers fill their queue, so `step_s`
    and `waiting` are measured in the second half.
    """

    def __init__(self) -> None:
        self.started = self.epoch_started = self.epoch_ended = self.fit_ended = time.perf_counter()
        self.starts: list[float] = []  # when each batch was loaded
        self.ends: list[float] = []  # when each step was done
        self.validation_s = self.volume_s = self.test_s = 0.0
        self.worker_bytes = self.train_peak = 0

    def start(self) -> None:
        """Start the clock. Call it after data, network and trainer are built: the run has built its own already."""
        self.started = time.perf_counter()

    def trial(self, device: torch.device) -> TrialTimes:
        """Times and memory of the trial, measured on this device."""
        in_steps = self.ends[-1] - self.starts[0]
        return TrialTimes(
            steps=len(self.ends),
            once_s=self.epoch_started - self.started + self.fit_ended - self.epoch_ended,
            step_s=self._step_s(),
            waiting=self._waiting(),
            epoch_s=self.epoch_ended - self.epoch_started - in_steps - self.validation_s,
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
        """Share of the step time that is spent waiting for patches; 0 after a single step."""
        half = len(self.ends) // 2
        if not half:
            return 0.0
        waits = [start - end for start, end in zip(self.starts[half:], self.ends[half - 1 : -1], strict=True)]
        return sum(waits) / (self.ends[-1] - self.ends[half - 1])

    def on_train_epoch_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Record the start of the epoch."""
        self.epoch_started = time.perf_counter()

    def on_train_batch_start(
        self,
        trainer: pl.Trainer,
        pl_module: pl.LightningModule,
        batch: Any,  # noqa: ANN401
        batch_idx: int,
    ) -> None:
        """Record the time at which a batch is loaded."""
        self.starts.append(time.perf_counter())

    def on_train_batch_end(
        self,
        trainer: pl.Trainer,
        pl_module: pl.LightningModule,
        outputs: Mapping[str, Any],  # type: ignore[override]  # Lightning's own type is Tensor | Mapping | None
        batch: Mapping[str, Any],
        batch_idx: int,
    ) -> None:
        """Record the end of a step, and the memory after the last one.

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
        """Record the end of the volume; a trial validates only one."""
        self.volume_s += time.perf_counter()

    def on_validation_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Record the end of the validation, including its scores."""
        self.validation_s += time.perf_counter()

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """End training after one epoch; max_epochs is not changed, because learning rate schedules depend on it."""
        trainer.should_stop = True

    def on_train_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Record the end of the epoch, including its checkpoints."""
        self.epoch_ended = time.perf_counter()

    def on_fit_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Record the end of `fit`."""
        self.fit_ended = time.perf_counter()

    def on_test_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Start timing the test."""
        self.test_s -= time.perf_counter()

    def on_test_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Record the end of the test."""
        self.test_s += time.perf_counter()
