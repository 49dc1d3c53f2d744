"""Progress of a run: a line per epoch in terminal and log, and in a terminal a bar of what goes on."""

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
    """Logs one line per epoch: loss, validation Dice, and the time left for all epochs.

    Where the scores of all organs do not fit into the terminal's width (80 columns where there is none), the line
    names the organ of the lowest Dice instead.

    Args:
        organs: Class i is organs[i-1].
    """

    def __init__(self, organs: Sequence[str]) -> None:
        super().__init__()
        self.organs = list(organs)
        self.clock = _Clock()
        self.bar: Progress | None = None
        self._enabled = True
        self._has_header = False

    def disable(self) -> None:
        """Show nothing: Lightning calls it in all processes but the first."""
        self._enabled = False

    def enable(self) -> None:
        """Undo `disable`."""
        self._enabled = True

    def on_train_epoch_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Begin the bar of an epoch."""
        self._start(f"epoch {trainer.current_epoch + 1}/{_total(trainer)}", trainer.num_training_batches)

    def on_train_batch_start(
        self,
        trainer: pl.Trainer,
        pl_module: pl.LightningModule,
        batch: Any,  # noqa: ANN401
        batch_idx: int,
    ) -> None:
        """Start the clock with the first batch of this process: a resumed run begins at any."""
        self.clock.start(_done(trainer, batch_idx))

    def on_train_batch_end(
        self,
        trainer: pl.Trainer,
        pl_module: pl.LightningModule,
        outputs: Any,  # noqa: ANN401
        batch: Any,  # noqa: ANN401
        batch_idx: int,
    ) -> None:
        """Advance the bar."""
        self._advance(batch_idx + 1, _left(trainer, self.clock, _done(trainer, batch_idx + 1)))

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Log the epoch's line."""
        metrics = trainer.callback_metrics  # by all processes: they average it among them
        self._stop()
        if not self._enabled:
            return
        width = shutil.get_terminal_size((80, 24)).columns
        epoch = f"{trainer.current_epoch + 1}/{_total(trainer)}"
        left = _left(trainer, self.clock, trainer.current_epoch + 1)
        header, line = epoch_lines(epoch, metrics, self.organs, left, width)
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
        """Count validation cases beside the bar of the epoch."""
        if self.bar is not None:
            self.bar.update(self.bar.task_ids[0], left=f"validation {batch_idx + 1}/{trainer.num_val_batches[0]}")

    def on_test_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Begin the bar of the test."""
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
        """Remove the bar, so that it does not stand before the error."""
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

    def _advance(self, done: int, left: float | None) -> None:
        if self.bar is not None:
            self.bar.update(self.bar.task_ids[0], completed=done, left="" if left is None else f"{duration(left)} left")

    def _stop(self) -> None:
        if self.bar is not None:
            self.bar.stop()
            self.bar = None


class _Clock:
    """Seconds an epoch, of the epochs and parts of epochs that this process has trained."""

    def __init__(self) -> None:
        self.begun: tuple[float, float] | None = None

    def start(self, epochs: float) -> None:
        """Start at a number of epochs, unless it runs."""
        if self.begun is None:
            self.begun = monotonic(), epochs

    def left(self, epochs: float, total: int) -> float | None:
        """Seconds until `total` epochs at the pace so far; None before there is one."""
        if self.begun is None or epochs <= self.begun[1]:
            return None
        pace = (monotonic() - self.begun[0]) / (epochs - self.begun[1])
        return pace * max(0.0, total - epochs)


def _total(trainer: pl.Trainer) -> int | str:
    return "?" if trainer.max_epochs in (None, -1) else int(trainer.max_epochs or 0)


def _done(trainer: pl.Trainer, batches: int) -> float:
    return trainer.current_epoch + batches / trainer.num_training_batches


def _left(trainer: pl.Trainer, clock: _Clock, epochs: float) -> float | None:
    """Seconds until all epochs are done or `max_time` is over; None where neither is known."""
    total = _total(trainer)
    ends = [clock.left(epochs, total) if isinstance(total, int) else None]
    ends += [callback.time_remaining() for callback in trainer.callbacks if isinstance(callback, Timer)]  # type: ignore[attr-defined]
    known = [end for end in ends if end is not None]
    return min(known, default=None)
