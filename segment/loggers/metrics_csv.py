"""metrics.csv, the table of all logged scalars in the run folder."""

import csv
import io
import os
from argparse import Namespace
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
from pytorch_lightning.loggers import Logger
from pytorch_lightning.utilities import rank_zero_only

from segment.files import write_text


class MetricsCSV(Logger):
    """Write every logged scalar to `<folder>/metrics.csv`: one row per step, one column per name.

    A value is in the file as soon as it is logged. Lightning's own CSV logger deletes the file of an earlier process.
    This logger adds to it, so a resumed run has one table.

    Args:
        folder: The run folder.
    """

    def __init__(self, folder: str | Path) -> None:
        super().__init__()
        self.path = Path(folder) / "metrics.csv"
        self.rows: list[dict[str, Any]] = []
        if self.path.exists():
            # A power cut may leave an incomplete last row, without its line end or some of its columns. Drop it.
            complete = self.path.read_bytes().rpartition(b"\n")[0].decode()
            self.rows = [row for row in csv.DictReader(io.StringIO(complete)) if None not in row.values()]
        self.columns = list(self.rows[0]) if self.rows else []
        self.last = -1  # offset in bytes of the last row in the file; -1 if unknown

    @property
    def name(self) -> str:
        """Unused by this logger."""
        return ""

    @property
    def version(self) -> str:
        """Unused by this logger."""
        return ""

    def log_hyperparams(self, params: dict[str, Any] | Namespace, *args: Any, **kwargs: Any) -> None:  # noqa: ANN401
        """Do nothing: config.yaml holds the configuration."""

    def finish(self) -> None:
        """End the run. Here there is nothing to end; a logger that derives from this one may have a server."""

    @rank_zero_only
    def truncate(self, step: int) -> None:
        """Drop the rows of a step and of all later steps. A run that resumes at this step logs them again."""
        self.rows = [row for row in self.rows if int(row["step"]) < step]
        if self.rows:
            self._write_all()
        else:
            self.path.unlink(missing_ok=True)
            self.columns = []

    @rank_zero_only
    def log_metrics(self, metrics: Mapping[str, float], step: int | None = None) -> None:
        """Add values to the row of a step."""
        step = 0 if step is None else step
        is_new = not self.rows or int(self.rows[-1]["step"]) != step
        if is_new:
            self.rows.append({"step": step})
        self.rows[-1].update(metrics)
        columns = list(dict.fromkeys([*self.columns, *self.rows[-1]]))
        if columns != self.columns or self.last < 0:
            self.columns = columns
            self._write_all()
        else:
            self._write_last(is_new)

    @rank_zero_only
    def flush(self) -> None:
        """Wait until the rows are on the disk, where they survive a power cut."""
        if self.path.exists():
            with self.path.open("r+b") as file:
                os.fsync(file.fileno())

    def _write_all(self) -> None:
        """Write the whole table atomically."""
        header = self._line(dict(zip(self.columns, self.columns, strict=True)))
        lines = [header, *map(self._line, self.rows)]
        write_text(self.path, "".join(lines))
        self.last = sum(len(line.encode()) for line in lines[:-1])

    def _write_last(self, is_new: bool) -> None:
        """Append the last row, or replace it in the file if it is not new."""
        with self.path.open("r+b") as file:
            self.last = file.seek(0, os.SEEK_END) if is_new else file.seek(self.last)
            file.write(self._line(self.rows[-1]).encode())
            file.truncate()

    def _line(self, row: Mapping[str, Any]) -> str:
        text = io.StringIO()
        csv.writer(text, lineterminator="\n").writerow(row.get(name, "") for name in self.columns)
        return text.getvalue()


class LogBeforeSaving(pl.Callback):
    """Write the `train/...` scalars of an epoch to the tables before its checkpoints are saved.

    Lightning passes them to the loggers after the checkpoints. A run killed in between would resume without them.
    """

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Log the `train/...` values of the epoch. Lightning logs the same values again later, without effect."""
        # `logged_metrics` also keeps old values: those of the last validation, and, when an epoch ends early, the
        # `train/...` values of the epoch before.
        values = {}
        if trainer.is_last_batch:
            for name, value in trainer.logged_metrics.items():
                if name.startswith("train/"):
                    values[name] = float(value)
        for logger in trainer.loggers:
            if isinstance(logger, MetricsCSV):
                logger.log_metrics({**values, "epoch": trainer.current_epoch}, step=trainer.global_step - 1)

    def on_save_checkpoint(
        self,
        trainer: pl.Trainer,
        pl_module: pl.LightningModule,
        checkpoint: dict[str, Any],
    ) -> None:
        """Flush the tables to the disk before a checkpoint, so that no row is missing after a resume."""
        for logger in trainer.loggers:
            if isinstance(logger, MetricsCSV):
                logger.flush()


def number(value: Any) -> int | float | str:  # noqa: ANN401
    """The value as an int if possible, else as a float, else as text. Values read from the table are text."""
    for kind in (int, float):
        try:
            return kind(str(value))
        except ValueError:
            continue
    return str(value)


def row_values(row: Mapping[str, Any]) -> dict[str, int | float | str]:
    """The values of a row as numbers, without its step and without empty cells."""
    return {name: number(value) for name, value in row.items() if name != "step" and value != ""}
