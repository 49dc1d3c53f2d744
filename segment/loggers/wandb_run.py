"""Weights & Biases logger that shows every row of metrics.csv once, even after several resumes."""

import functools
import logging
from argparse import Namespace
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Concatenate, ParamSpec

import wandb
from pytorch_lightning.utilities import rank_zero_only

from segment.loggers.metrics_csv import MetricsCSV, row_values
from segment.loggers.wandb_facts import facts_at_end, facts_at_start
from segment.loggers.wandb_internals import keep_as_file
from segment.loggers.wandb_name import run_group, run_name
from segment.loggers.wandb_report import best_scores, pictures, save_files, send_artifacts, tables, worst_case
from segment.loggers.wandb_session import caches_in, choose_mode, end_run, remove_older, start_session

log = logging.getLogger(__name__)

P = ParamSpec("P")


def _warn_on_failure(method: Callable[Concatenate["WandbRun", P], None]) -> Callable[Concatenate["WandbRun", P], None]:
    """Turn the first error of W&B into a warning, and disable the logger. Training continues."""

    @functools.wraps(method)
    def guarded(self: "WandbRun", /, *args: P.args, **kwargs: P.kwargs) -> None:
        if self.mode == "disabled":
            return
        try:
            method(self, *args, **kwargs)
        except Exception as error:
            self.mode = "disabled"
            log.warning("Weights & Biases is disabled for the rest of this run: %s: %s", type(error).__name__, error)

    return guarded


class WandbRun(MetricsCSV):
    """Log to Weights & Biases without prompts, console capture or facts about the machine.

    W&B cannot change a row that it has received. A row is therefore sent with its step once it is complete: when the
    next row starts, or when the run ends. The rows are also kept in `<folder>/wandb/metrics.csv`.

    A resumed run keeps its id and sends the rows that W&B does not have yet:

    - offline, it writes all rows to a new folder, which replaces the older ones;
    - online, it sends the rows after the last step on the server;
    - rows that are only in the run's metrics.csv, for example after a failure of W&B, are sent, too.

    An error of W&B only causes a warning. If the server cannot be reached, the run is logged offline.

    Args:
        folder: The run folder; W&B's files go to `<folder>/wandb/`.
        project: Project to log into.
        entity: User or team; None is the default of the API key.
        name: Name of the run; None builds it from the overrides, see `run_name`.
        group: Group of runs to compare; None is the sweep or the task, see `run_group`.
        job_type: Kind of run, e.g. `train`.
        tags: Tags for searching.
        notes: Free text.
        monitor: The scalar that selects the best epoch, for the summary.
        monitor_mode: `max` if the highest value is the best, `min` if the lowest is.
        offline: None uses WANDB_MODE. Without WANDB_MODE, the run is online if WANDB_API_KEY is set or `wandb login`
            has stored a key. Upload an offline run with `wandb sync`.
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
        self.mode = choose_mode(offline)
        self.run: Any = None  # wandb's run, opened when the first value is logged
        self.sent = 0  # number of rows sent to it
        self.media: dict[str, Any] = {}  # tables and pictures, sent at the end
        self.has_failed = False

    @rank_zero_only
    @_warn_on_failure
    def log_hyperparams(self, params: dict[str, Any] | Namespace, *args: Any, **kwargs: Any) -> None:  # noqa: ANN401
        """Open the run with its configuration: plain values under dotted keys."""
        self._open()
        self.run.config.update(params, allow_val_change=True)

    @rank_zero_only
    @_warn_on_failure
    def truncate(self, step: int) -> None:
        """Drop the rows of a step and of all later steps, send the others, and remove folders of earlier processes."""
        table = MetricsCSV(self.folder)
        if len(table.rows) >= len(self.rows):  # W&B failed or was disabled in an earlier process
            self.rows, self.columns = table.rows, table.columns
        super().truncate(step)
        self._open()
        self._send(len(self.rows) - 1)
        remove_older(self.run, self.folder)

    @rank_zero_only
    @_warn_on_failure
    def log_metrics(self, metrics: Mapping[str, float], step: int | None = None) -> None:
        """Add values to the row of a step, and send the rows before it."""
        super().log_metrics(metrics, step)
        self._open()
        self._send(len(self.rows) - 1)

    @rank_zero_only
    @_warn_on_failure
    def flush(self) -> None:
        """Wait until the rows are on the disk."""
        super().flush()

    def log_table(self, key: str, columns: Sequence[str], data: Sequence[Sequence[Any]]) -> None:
        """Add a table, which is sent when the run ends."""
        self.media[key] = wandb.Table(columns=list(columns), data=[list(row) for row in data])

    def log_image(self, key: str, images: Sequence[str | Path]) -> None:
        """Add pictures, given as files, which are sent when the run ends."""
        self.media[key] = [wandb.Image(str(path)) for path in images]

    def finalize(self, status: str) -> None:
        """Store whether the stage has failed. Lightning calls this after every stage."""
        self.has_failed = status != "success"

    @rank_zero_only
    def finish(self) -> None:
        """Send the contents of the run folder and end the run."""
        self._complete()
        if self.run is not None:
            end_run(self.run, self.folder, int(self.has_failed))
            self.run = None

    def _open(self) -> None:
        if self.run is not None:
            return
        with caches_in(self.folder):
            about = {**self.about, "name": self.about["name"] or run_name(self.folder)}
            about["group"] = about["group"] or run_group(self.folder)
            self.run = start_session(self.folder, self.mode, about)
            if not self.run.offline:
                self._send_artifacts()
        self.run.config.update(facts_at_start(self.folder), allow_val_change=True)
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

    def _send(self, count: int, media: Mapping[str, Any] | None = None) -> None:
        """Send the rows before index `count` that were not sent yet, and `media` with the last of them."""
        new = self.rows[self.sent : max(count, 0)]
        for index, row in enumerate(new, start=1):
            step = int(row["step"])
            more = media if media and index == len(new) else {}
            if step >= self.run.starting_step:
                self.run.log({**row_values(row), **more}, step=step, commit=True)
            elif more:  # the server has this step already and would refuse it
                self.run.log({**more}, commit=True)
        self.sent = max(self.sent, count)

    @_warn_on_failure
    def _complete(self) -> None:
        """Send the last row, tables, pictures, files and the summary."""
        if self.run is None:
            if not self.media:
                return
            self._open()
        if self.has_failed and not self.run.offline:
            return  # the last row may be incomplete, and a resumed run could not change it on the server
        media = self.media | tables(self.folder) | pictures(self.folder) | worst_case(self.folder)
        for key, value in media.items():
            if isinstance(value, wandb.Table):
                keep_as_file(value, self.run, key, self.rows[-1]["step"] if self.rows else 0)
        self._send(len(self.rows), media)
        if media and not self.rows:
            self.run.log(media)
        best = best_scores(self.rows, self.monitor, self.better) if self.monitor else {}
        self.run.summary.update(best | facts_at_end(self.folder))
        save_files(self.run, self.folder)
