"""A Weights & Biases run that holds every row of metrics.csv once, however often the process was stopped."""

import functools
import logging
from argparse import Namespace
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Concatenate, ParamSpec

import wandb
from pytorch_lightning.utilities import rank_zero_only

from segment.loggers.metrics_csv import MetricsCSV, number
from segment.loggers.wandb_facts import known_at_end, known_at_start
from segment.loggers.wandb_name import run_group, run_name
from segment.loggers.wandb_report import best_scores, pictures, save_files, send_artifacts, tables
from segment.loggers.wandb_session import caches_in, chosen_mode, end_run, remove_older, start_session

log = logging.getLogger(__name__)

P = ParamSpec("P")


def _spared(method: Callable[Concatenate["WandbRun", P], None]) -> Callable[Concatenate["WandbRun", P], None]:
    """Training goes on when W&B fails: the first failure is told, and nothing more is logged there."""

    @functools.wraps(method)
    def spared(self: "WandbRun", /, *args: P.args, **kwargs: P.kwargs) -> None:
        if self.mode == "disabled":
            return
        try:
            method(self, *args, **kwargs)
        except Exception as error:
            self.mode = "disabled"
            log.warning("Weights & Biases logs no more in this run: %s: %s", type(error).__name__, error)

    return spared


class WandbRun(MetricsCSV):
    """Weights & Biases without prompts, console capture or facts about the machine.

    Rows are kept in `<folder>/wandb/metrics.csv`, and a run that goes on takes those that are only in the run's own
    table, as after a failure of W&B. W&B gets each one whole, with its step, when the next begins or
    the run ends. A run that goes on has the same id and sends what W&B lacks: offline, all rows again into a new folder
    that takes the place of the older ones; online, those behind the last step that the server has. A failure of W&B is
    a warning; one that cannot be reached is logged offline.

    Args:
        folder: The run folder; W&B's files go to `<folder>/wandb/`.
        project: Project to log into.
        entity: User or team; None: that of the key.
        name: What the run is called; None: after its overrides, see `run_name`.
        group: Runs to be compared share one; None: that of the sweep, or the task, see `run_group`.
        job_type: What the run does.
        tags: Words to find it by.
        notes: What you want to remember of it.
        monitor: The scalar that tells the best epoch, for the summary.
        monitor_mode: `max` where its highest value is the best, `min` where its lowest is.
        offline: None leaves it to WANDB_MODE, else it is offline unless WANDB_API_KEY is set or `wandb login` has left
            a key. An offline run is uploaded by `wandb sync`.
    """

    def __init__(
        self,
        folder: str | Path,
        project: str,
        entity: str | None = None,
        name: str | None = None,
        group: str | None = None,
        job_type: str | None = None,
        tags: Sequence[str] = (),
        notes: str | None = None,
        monitor: str | None = None,
        monitor_mode: str = "max",
        offline: bool | None = None,
    ) -> None:
        super().__init__(Path(folder) / "wandb")
        self.folder = Path(folder)
        self.about: dict[str, Any] = {
            "project": project,
            "entity": entity,
            "name": name,
            "group": group,
            "job_type": job_type,
            "tags": list(tags),
            "notes": notes,
        }
        self.monitor = monitor
        self.better = max if monitor_mode == "max" else min
        self.mode = chosen_mode(offline)
        self.run: Any = None  # wandb's, from the first thing that is logged
        self.sent = 0  # rows that it has
        self.shown: dict[str, Any] = {}  # tables and pictures, sent at the end
        self.has_failed = False

    @rank_zero_only
    @_spared
    def log_hyperparams(self, params: dict[str, Any] | Namespace, *args: Any, **kwargs: Any) -> None:  # noqa: ANN401
        """Begin the run with its configuration, one level of names and plain values."""
        self._begin()
        self.run.config.update(params, allow_val_change=True)

    @rank_zero_only
    @_spared
    def forget_from(self, step: int) -> None:
        """Drop the rows of a step and all later ones; send the others, and remove what earlier processes left."""
        table = MetricsCSV(self.folder)
        if len(table.rows) >= len(self.rows):  # an earlier process has failed here, or logged nothing on purpose
            self.rows, self.columns = table.rows, table.columns
        super().forget_from(step)
        self._begin()
        self._send(len(self.rows) - 1)
        remove_older(self.run, self.folder)

    @rank_zero_only
    @_spared
    def log_metrics(self, metrics: Mapping[str, float], step: int | None = None) -> None:
        """Add values to the step's row, and send the rows before it."""
        super().log_metrics(metrics, step)
        self._begin()
        self._send(len(self.rows) - 1)

    @rank_zero_only
    @_spared
    def flush(self) -> None:
        """Wait until the rows are on the disk."""
        super().flush()

    def log_table(self, key: str, columns: Sequence[str], data: Sequence[Sequence[Any]]) -> None:
        """Show a table when the run ends."""
        self.shown[key] = wandb.Table(columns=list(columns), data=[list(row) for row in data])

    def log_image(self, key: str, images: Sequence[str | Path]) -> None:
        """Show pictures, given as files, when the run ends."""
        self.shown[key] = [wandb.Image(str(path)) for path in images]

    def finalize(self, status: str) -> None:
        """Remember how the run goes: Lightning calls this after every stage."""
        self.has_failed = status != "success"

    @rank_zero_only
    def finish(self) -> None:
        """Send what the run folder holds and end the run."""
        self._complete()
        if self.run is not None:
            end_run(self.run, self.folder, int(self.has_failed))
            self.run = None

    def _begin(self) -> None:
        if self.run is not None:
            return
        with caches_in(self.folder):
            about = {**self.about, "name": self.about["name"] or run_name(self.folder)}
            about["group"] = about["group"] or run_group(self.folder)
            self.run = start_session(self.folder, self.mode, about)
            if not self.run.offline:
                self._send_artifacts()
        self.run.config.update(known_at_start(self.folder), allow_val_change=True)
        save_files(self.run, self.folder)

    def _send_artifacts(self) -> None:
        try:
            send_artifacts(self.run, self.folder)
        except Exception as error:
            log.warning(
                "code and split are not uploaded to Weights & Biases: %s: %s; they stay in the run folder",
                type(error).__name__,
                error,
            )

    def _send(self, count: int, shown: Mapping[str, Any] | None = None) -> None:
        """Send those of the first rows that W&B lacks; `shown` goes with the last one."""
        new = self.rows[self.sent : max(count, 0)]
        for index, row in enumerate(new, start=1):
            step = int(row["step"])
            values = {name: number(value) for name, value in row.items() if name != "step" and value != ""}
            more = shown if shown and index == len(new) else {}
            if step >= self.run.starting_step:  # the server has the others, and would refuse them
                self.run.log({**values, **more}, step=step, commit=True)
            elif more:
                self.run.log({**more}, commit=True)
        self.sent = max(self.sent, count)

    @_spared
    def _complete(self) -> None:
        """Send the last row, tables, pictures, files and the summary."""
        if self.run is None:
            if not self.shown:
                return
            self._begin()
        if self.has_failed and not self.run.offline:
            return  # a row of a server stays as it is, and the newest may lack what a run that goes on will add
        shown = self.shown | tables(self.folder) | pictures(self.folder)
        for key, value in shown.items():
            if isinstance(value, wandb.Table):
                # Bound before it is logged, it is a file of the run; else also an artifact, staged under a full path.
                value.bind_to_run(self.run, key, self.rows[-1]["step"] if self.rows else 0)
        self._send(len(self.rows), shown)
        if shown and not self.rows:
            self.run.log(shown)
        best = best_scores(self.rows, self.monitor, self.better) if self.monitor else {}
        self.run.summary.update(best | known_at_end(self.folder))
        save_files(self.run, self.folder)
