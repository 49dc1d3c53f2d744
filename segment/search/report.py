"""Report the trials of a sweep in the log, in a table, in pictures and in a run of Weights & Biases."""

import logging
from collections.abc import Sequence
from typing import Any

from optuna.trial import FrozenTrial

from segment.files import write_text
from segment.metrics.cases_csv import csv_text
from segment.search.importance import importance
from segment.search.lock import held
from segment.search.pictures import write_history, write_importance
from segment.search.study import Search
from segment.search.trials_table import best_trial, rows, write_best, write_table
from segment.view import failsafe

log = logging.getLogger(__name__)


class Report:
    """Writes the table and the pictures of a search.

    Args:
        search: The search.
        monitor: Name of the metric that the search optimises.
        overrides: The user's arguments for every trial.
    """

    def __init__(self, search: Search, monitor: str, overrides: Sequence[str]) -> None:
        self.search = search
        self.monitor = monitor
        self.overrides = overrides

    def on_trial_end(self, trial: FrozenTrial) -> None:
        """Log how a trial has ended, and write the table and the pictures."""
        parts = []
        if trial.value is not None:
            parts.append(f"{self.monitor} {trial.value:.4f}")
        if trial.user_attrs.get("why"):
            parts.append(trial.user_attrs["why"])
        log.info("trial %d %s: %s", trial.number, trial.state.name.lower(), ", ".join(parts))
        self.write()

    def write(self) -> None:
        """Write trials.csv and history.png, and, if trials have finished, best.yaml and the importance twice."""
        trials, folder, direction = self.search.trials(), self.search.folder, self.search.method.direction
        write_table(folder / "trials.csv", trials)
        best = best_trial(trials, direction)
        if best is not None:
            write_best(folder / "best.yaml", best, self.overrides)
        points = [(trial.number, trial.state.name.lower(), trial.value) for trial in trials]
        with failsafe.warn_on_error("history.png"):
            write_history(folder / "history.png", points, self.monitor, direction)
        shares = importance(trials, direction)
        if shares:
            write_text(folder / "importance.csv", csv_text([("parameter", "share"), *shares.items()]))
            with failsafe.warn_on_error("importance.png"):
                write_importance(folder / "importance.png", shares, self.monitor)

    def log_to_wandb(self, logger: Any) -> None:  # noqa: ANN401  # a WandbRun, or another logger of tables and pictures
        """Log the table and the pictures as a run of its own, in the group of the trials."""
        # Without the lock, two workers that end at the same time would delete each other's run.
        with held(self.search.folder / ".wandb.lock"):
            logger.truncate(0)  # drop what was logged before the sweep was resumed
            table = rows(self.search.trials())
            logger.log_table("trials", columns=list(table[0]), data=_columns_of_one_kind(table))
            for name in ("history", "importance"):
                path = self.search.folder / f"{name}.png"
                if path.exists():
                    logger.log_image(name, [str(path)])
            logger.finish()


def _columns_of_one_kind(table: list[dict[str, Any]]) -> list[list[Any]]:
    """Rows in which every column holds only numbers or only text, as W&B requires."""
    text_columns: set[str] = set()
    for row in table:
        text_columns.update(key for key, value in row.items() if isinstance(value, str))
    converted = []
    for row in table:
        converted.append([str(value) if key in text_columns else value for key, value in row.items()])
    return converted
