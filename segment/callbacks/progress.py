"""Progress of a run: one line per epoch in the terminal and the log, and a progress bar in a terminal."""

import logging
import shutil
from collections.abc import Sequence
from time import monotonic
from typing import Any

import pytorch_lightning as pl
from pytorch_lightning.callbacks import ProgressBar, Timer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

from segment.callbacks.epoch_line import duration, epoch_lines

log = logging.getLogger(__name__)


class EpochProgressBar(ProgressBar):
    """Log one line per epoch: loss, validation Dice, and the time left for all epochs.

    If the scores of all organs do not fit into the width of the terminal (80 columns if there is none), the line shows
    the lowest Dice and its organ instead.

    Args:
        organs: Class i is organs[i-1].
    """

    def __init__(self, organs: Sequence[str]) -> None:
        super().__init__()
        self.organs = list(organs)
        self.remaining = _RemainingTime()
        self.bar: Progress | None = None
        self._enabled = True
        self._has_header = False
        self._is_validated = False  # whether this epoch has been validated

    def disable(self) -> None:
        """Show nothing. Lightning calls this in all processes except the first."""
        self._enabled = False

    def enable(self) -> None:
        """Undo `disable`."""
        self._enabled = True

    def on_train_epoch_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Start the bar of an epoch."""
        self._start(f"epoch {trainer.current_epoch + 1}/{_total(trainer)}", trainer.num_training_batches)

    def on_train_batch_start(
        self,
        trainer: pl.Trainer,
        pl_module: pl.LightningModule,
        batch: Any,  # noqa: ANN401
        batch_idx: int,
    ) -> None:
        """Start the clock at the first batch of this process, which in a resumed run may be any batch of an epoch."""
        self.remaining.start(_done(trainer, batch_idx))

    def on_train_batch_end(
        self,
        trainer: pl.Trainer,
        pl_module: pl.LightningModule,
        outputs: Any,  # noqa: ANN401
        batch: Any,  # noqa: ANN401
        batch_idx: int,
    ) -> None:
        """Advance the bar."""
        self._advance(batch_idx + 1, _remaining_s(trainer, self.remaining, _done(trainer, batch_idx + 1)))

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Log the line of the epoch."""
        metrics = trainer.callback_metrics  # in every process, because this averages values over processes
        if not self._is_validated:  # Lightning keeps the scores of the last validation
            metrics = {name: value for name, value in metrics.items() if not name.startswith("val/")}
        self._is_validated = False
        self._stop()
        if not self._enabled:
            return
        width = shutil.get_terminal_size((80, 24)).columns
        epoch = f"{trainer.current_epoch + 1}/{_total(trainer)}"
        remaining_s = _remaining_s(trainer, self.remaining, trainer.current_epoch + 1)
        header, line = epoch_lines(epoch, metrics, self.organs, remaining_s, width)
        if not self._has_header:
            log.info(header)
            self._has_header = True
        log.info(line)

    def on_validation_batch_end(
        self,
        trainer: pl.Trainer,
        pl_module: pl.LightningModule,
        outputs: Any,  # noqa: ANN401
        batch: Any,  # noqa: ANN401
        batch_idx: int,
        dataloader_idx: int = 0,
    ) -> None:
        """Show the number of validated cases beside the bar of the epoch."""
        if self.bar is not None:
            self.bar.update(self.bar.task_ids[0], left=f"validation {batch_idx + 1}/{trainer.num_val_batches[0]}")

    def on_validation_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Note that this epoch has its own scores."""
        self._is_validated = True

    def on_test_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Start the bar of the test."""
        self._start("test", trainer.num_test_batches[0])

    def on_test_batch_end(
        self,
        trainer: pl.Trainer,
        pl_module: pl.LightningModule,
        outputs: Any,  # noqa: ANN401
        batch: Any,  # noqa: ANN401
        batch_idx: int,
        dataloader_idx: int = 0,
    ) -> None:
        """Advance the bar."""
        self._advance(batch_idx + 1, None)

    def teardown(self, trainer: pl.Trainer, pl_module: pl.LightningModule, stage: str) -> None:
        """Remove the bar."""
        self._stop()

    def on_exception(self, trainer: pl.Trainer, pl_module: pl.LightningModule, exception: BaseException) -> None:
        """Remove the bar before the error is printed."""
        self._stop()

    def _start(self, what: str, total: float) -> None:
        console = Console(stderr=True)
        if not self._enabled or not console.is_terminal or console.is_dumb_terminal:
            return
        self._stop()
        columns = (
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("{task.fields[left]}"),
        )
        self.bar = Progress(*columns, console=console, transient=True)
        self.bar.add_task(what, total=total if total != float("inf") else None, left="")
        self.bar.start()

    def _advance(self, done: int, remaining_s: float | None) -> None:
        if self.bar is None:
            return
        left = "" if remaining_s is None else f"{duration(remaining_s)} left"
        self.bar.update(self.bar.task_ids[0], completed=done, left=left)

    def _stop(self) -> None:
        if self.bar is not None:
            self.bar.stop()
            self.bar = None


class _RemainingTime:
    """Estimate the time left from the epochs, and fractions of an epoch, that this process has trained."""

    def __init__(self) -> None:
        self.started: tuple[float, float] | None = None  # time in s, and epochs done by then

    def start(self, epochs: float) -> None:
        """Start when this number of epochs is done. Later calls do nothing."""
        if self.started is None:
            self.started = monotonic(), epochs

    def estimate(self, epochs: float, total: int) -> float | None:
        """Seconds until `total` epochs are done; None before this process has trained anything."""
        if self.started is None:
            return None
        time, first = self.started
        if epochs <= first:
            return None
        seconds_per_epoch = (monotonic() - time) / (epochs - first)
        return seconds_per_epoch * max(0.0, total - epochs)


def _total(trainer: pl.Trainer) -> int | str:
    return "?" if trainer.max_epochs in (None, -1) else int(trainer.max_epochs or 0)


def _done(trainer: pl.Trainer, batches: int) -> float:
    return trainer.current_epoch + batches / trainer.num_training_batches


def _remaining_s(trainer: pl.Trainer, remaining: _RemainingTime, epochs: float) -> float | None:
    """Seconds until all epochs are done or `max_time` is over; None if neither is known."""
    total = _total(trainer)
    limits = [remaining.estimate(epochs, total) if isinstance(total, int) else None]
    for callback in trainer.callbacks:  # type: ignore[attr-defined]
        if isinstance(callback, Timer):
            limits.append(callback.time_remaining())
    known = [limit for limit in limits if limit is not None]
    return min(known, default=None)
