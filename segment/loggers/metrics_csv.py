"""metrics.csv, the table of every logged scalar in the run folder."""

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
    """Every logged scalar in `<folder>/metrics.csv`: one row per step, one column per name.

    A value is in the file as soon as it is logged. Lightning's own CSV logger deletes the file of an earlier process;
    this one goes on with it, so a resumed run leaves one table.

    Args:
        folder: The run folder.
    """

    def __init__(self, folder: str | Path) -> None:
        super().__init__()
        self.path = Path(folder) / "metrics.csv"
        self.rows: list[dict[str, Any]] = []
        if self.path.exists():
            # Of a row that a power cut tore, no value is sure: it has no end, or not all columns.
            whole = self.path.read_bytes().rpartition(b"\n")[0].decode()
            self.rows = [row for row in csv.DictReader(io.StringIO(whole)) if None not in row.values()]
        self.columns = list(self.rows[0]) if self.rows else []
        self.last = -1  # where the last row begins in the file; -1: unknown yet

    @property
    def name(self) -> str:
        """Unused by this logger."""
        return ""

    @property
    def version(self) -> str:
        """Unused by this logger."""
        return ""

    def log_hyperparams(self, params: dict[str, Any] | Namespace, *args: Any, **kwargs: Any) -> None:  # noqa: ANN401
        """The configuration is in config.yaml already."""

    @rank_zero_only
    def forget_from(self, step: int) -> None:
        """Drop the rows of a step and all later ones, which a run that resumes there logs again."""
        self.rows = [row for row in self.rows if int(row["step"]) < step]
        if self.rows:
            self._write_all()
        else:
            self.path.unlink(missing_ok=True)
            self.columns = []

    @rank_zero_only
    def log_metrics(self, metrics: Mapping[str, float], step: int | None = None) -> None:
        """Add values to the step's row."""
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
        """Wait until the rows are on the disk, which a power cut spares."""
        if self.path.exists():
            with self.path.open("r+b") as file:
                os.fsync(file.fileno())

    def _write_all(self) -> None:
        """Write the table, whole or not at all."""
        lines = [self._line(dict(zip(self.columns, self.columns, strict=True))), *map(self._line, self.rows)]
        write_text(self.path, "".join(lines))
        self.last = sum(len(line.encode()) for line in lines[:-1])

    def _write_last(self, is_new: bool) -> None:
        """Put the last row behind the others, or in place of what it was."""
        with self.path.open("r+b") as file:
            self.last = file.seek(0, os.SEEK_END) if is_new else file.seek(self.last)
            file.write(self._line(self.rows[-1]).encode())
            file.truncate()

    def _line(self, row: Mapping[str, Any]) -> str:
        text = io.StringIO()
        csv.writer(text, lineterminator="\n").writerow(row.get(name, "") for name in self.columns)
        return text.getvalue()


class LogBeforeSaving(pl.Callback):
    """Write an epoch's `train/...` scalars into the tables before its checkpoints are saved.

    Lightning hands them to the loggers afterwards, so a run killed in between would resume without them.
    """

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Log what is known at the end of the epoch; Lightning's own call then changes nothing."""
        # Those of the last validation linger, also where this epoch has none; so do `train/...` where it ends half-way.
        known = trainer.logged_metrics.items() if trainer.is_last_batch else ()
        values = {name: float(value) for name, value in known if name.startswith("train/")}
        for logger in trainer.loggers:
            if isinstance(logger, MetricsCSV):
                logger.log_metrics({**values, "epoch": trainer.current_epoch}, step=trainer.global_step - 1)

    def on_save_checkpoint(
        self,
        trainer: pl.Trainer,
        pl_module: pl.LightningModule,
        checkpoint: dict[str, Any],
    ) -> None:
        """Bring the tables to the disk before any checkpoint, which a run would go on from without their rows."""
        for logger in trainer.loggers:
            if isinstance(logger, MetricsCSV):
                logger.flush()


def number(value: Any) -> int | float | str:  # noqa: ANN401
    """A value of a table, of the file or not yet, as the number it is; words stay."""
    for kind in (int, float):
        try:
            return kind(str(value))
        except ValueError:
            continue
    return str(value)
