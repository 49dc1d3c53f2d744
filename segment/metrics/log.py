"""Loggers: metrics.csv in the run folder, and Weights & Biases that never asks and never tells paths."""

import csv
import io
import os
from argparse import Namespace
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import wandb
from pytorch_lightning.loggers import Logger, WandbLogger
from pytorch_lightning.utilities import rank_zero_only


class MetricsCSV(Logger):
    """Every logged scalar in `<folder>/metrics.csv`: one row per step, one column per name.

    Rows are on disk as soon as the next step begins. Lightning's own CSV logger deletes the file of an earlier
    process; this one goes on with it, so a resumed run leaves one table.

    Args:
        folder: The run folder.
    """

    def __init__(self, folder: str | Path) -> None:
        super().__init__()
        self.path = Path(folder) / "metrics.csv"
        self.rows: list[dict[str, Any]] = []
        if self.path.exists():
            with self.path.open(newline="") as file:
                self.rows = [{k: v for k, v in row.items() if v != ""} for row in csv.DictReader(file)]

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

    def forget_after(self, step: int) -> None:
        """Drop rows of steps beyond a checkpoint that training resumes from."""
        self.rows = [row for row in self.rows if int(row["step"]) <= step]
        self.save()

    @rank_zero_only  # type: ignore[untyped-decorator]
    def log_metrics(self, metrics: Mapping[str, float], step: int | None = None) -> None:
        """Add values to the step's row."""
        step = 0 if step is None else step
        if not self.rows or int(self.rows[-1]["step"]) != step:
            self.save()
            self.rows.append({"step": step})
        self.rows[-1].update(metrics)

    @rank_zero_only  # type: ignore[untyped-decorator]
    def save(self) -> None:
        """Write the table, whole or not at all."""
        if not self.rows:
            return
        columns = list(dict.fromkeys(name for row in self.rows for name in row))
        text = io.StringIO()
        writer = csv.DictWriter(text, columns)
        writer.writeheader()
        writer.writerows(self.rows)
        aside = self.path.with_name(f".{self.path.name}.part")
        aside.write_text(text.getvalue())
        aside.replace(self.path)

    def finalize(self, status: str) -> None:
        """Write what is left."""
        self.save()


def wandb_logger(
    folder: str | Path, project: str, group: str | None = None, offline: bool | None = None
) -> WandbLogger:
    """A Weights & Biases run in the run folder, without prompts, console capture or facts about the machine.

    Args:
        folder: The run folder, after which the run is called; its files go to `<folder>/wandb/`.
        project: Project to log into.
        group: Runs to be compared share one.
        offline: None decides: offline unless WANDB_API_KEY is set. An offline run is uploaded by `wandb sync`.
    """
    if offline is None:
        offline = "WANDB_API_KEY" not in os.environ
    # Meta data would hold host name, user name and absolute paths.
    settings = wandb.Settings(
        silent=True, console="off", disable_git=True, disable_code=True, x_disable_meta=True, x_disable_stats=True
    )
    Path(folder).mkdir(parents=True, exist_ok=True)
    return WandbLogger(
        project=project, name=Path(folder).name, group=group, save_dir=str(folder), offline=offline, settings=settings
    )
