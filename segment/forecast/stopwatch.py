"""The callback that takes the times of a trial."""

import math
import time
from collections.abc import Mapping
from typing import Any

import pytorch_lightning as pl
import torch

from segment.errors import UserError
from segment.forecast.forecast import TrialTimes
from segment.memory import measure as memory
from segment.run.use import peak


class Stopwatch(pl.Callback):
    """Take the times of an epoch with its validation, after which it ends training, and of a test.

    Goes behind all other callbacks. The first half of the steps warms up: the machine, and the loader, whose workers
    first fill their queue.
    """

    def __init__(self) -> None:
        self.started = self.begun = self.trained = self.ended = time.perf_counter()
        self.starts: list[float] = []  # when a batch was there
        self.ends: list[float] = []  # when its step was done
        self.validation_s = self.volume_s = self.test_s = 0.0
        self.worker_bytes = self.train_peak = 0

    def start(self) -> None:
        """Training is about to start: data, network and trainer, which the run has made already, are made."""
        self.started = time.perf_counter()

    def trial(self, device: torch.device) -> TrialTimes:
        """What the trial took, on this device."""
        in_steps = self.ends[-1] - self.starts[0]
        return TrialTimes(
            steps=len(self.ends),
            once_s=self.begun - self.started + self.ended - self.trained,
            step_s=self._step_s(),
            waiting=self._waiting(),
            epoch_s=self.trained - self.begun - in_steps - self.validation_s,
            volume_s=self.volume_s,
            validation_s=self.validation_s - self.volume_s,
            test_s=self.test_s,
            memory_bytes=max(self.train_peak + self.worker_bytes, peak()),
            gpu_bytes=memory.gpu_peak(device),
        )

    def _step_s(self) -> float:
        half = len(self.ends) // 2
        if not half:
            return self.ends[0] - self.starts[0]
        return (self.ends[-1] - self.ends[half - 1]) / (len(self.ends) - half)

    def _waiting(self) -> float:
        half = len(self.ends) // 2
        if not half:
            return 0.0
        waits = [start - end for start, end in zip(self.starts[half:], self.ends[half - 1 : -1], strict=True)]
        return sum(waits) / (self.ends[-1] - self.ends[half - 1])

    def on_train_epoch_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Begin."""
        self.begun = time.perf_counter()

    def on_train_batch_start(
        self,
        trainer: pl.Trainer,
        pl_module: pl.LightningModule,
        batch: Any,  # noqa: ANN401
        batch_idx: int,
    ) -> None:
        """A batch is there."""
        self.starts.append(time.perf_counter())

    def on_train_batch_end(
        self,
        trainer: pl.Trainer,
        pl_module: pl.LightningModule,
        outputs: Mapping[str, Any],  # type: ignore[override]  # Lightning's own type is Tensor | Mapping | None
        batch: Mapping[str, Any],
        batch_idx: int,
    ) -> None:
        """A step is done.

        Raises:
            UserError: When its loss is not finite.
        """
        loss = float(outputs["loss"])  # waits for the GPU, too
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
        """Validation begins."""
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
        """Its volume is done."""
        self.volume_s += time.perf_counter()

    def on_validation_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """So is what follows the volumes."""
        self.validation_s += time.perf_counter()

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """One epoch is enough; the schedule of learning rates is that of all."""
        trainer.should_stop = True

    def on_train_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """The epoch is done, and its checkpoints are written."""
        self.trained = time.perf_counter()

    def on_fit_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """So is what follows the last epoch."""
        self.ended = time.perf_counter()

    def on_test_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """The test begins."""
        self.test_s -= time.perf_counter()

    def on_test_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """The test is done."""
        self.test_s += time.perf_counter()
