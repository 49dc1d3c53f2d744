"""What a sweep leaves of its trials in its folder and in Weights & Biases."""

import logging
from collections.abc import Sequence
from typing import Any

from optuna.trial import FrozenTrial

from segment.search.importance import importance
from segment.search.lock import held
from segment.search.pictures import write_history, write_importance
from segment.search.study import Search
from segment.search.trials_table import best_trial, rows, write_best, write_table
from segment.view import failsafe as guard

log = logging.getLogger(__name__)


class Report:
    """Table and pictures of a search.

    Args:
        search: The search.
        monitor: What its trials' values are.
        overrides: Arguments that the user gave for every trial.
    """

    def __init__(self, search: Search, monitor: str, overrides: Sequence[str]) -> None:
        self.search = search
        self.monitor = monitor
        self.overrides = overrides

    def ended(self, trial: FrozenTrial) -> None:
        """Tell how a trial has ended, and show it beside the others."""
        value = f"{self.monitor} {trial.value:.4f}" if trial.value is not None else ""
        ends = ", ".join(filter(None, (value, trial.user_attrs.get("why", ""))))
        log.info("trial %d %s: %s", trial.number, trial.state.name.lower(), ends)
        self.write()

    def write(self) -> None:
        """Write trials.csv, best.yaml, history.png and importance.png, as far as there is something to show."""
        trials, folder, direction = self.search.trials(), self.search.folder, self.search.method.direction
        write_table(folder / "trials.csv", trials)
        if best := best_trial(trials, direction):
            write_best(folder / "best.yaml", best, self.overrides)
        points = [(trial.number, trial.state.name.lower(), trial.value) for trial in trials]
        with guard.picture("history.png"):
            write_history(folder / "history.png", points, self.monitor, direction)
        if shares := importance(trials, direction):
            with guard.picture("importance.png"):
                write_importance(folder / "importance.png", shares, self.monitor)

    def show_in_wandb(self, logger: Any) -> None:  # noqa: ANN401  # a WandbRun, or another that logs tables and pictures
        """Send table and pictures as one more run of the group that the trials are in."""
        with held(self.search.folder / ".wandb.lock"):  # of workers that end together, each would remove the other's
            logger.forget_from(0)  # what it showed before the sweep went on
            table = rows(self.search.trials())
            logger.log_table("trials", columns=list(table[0]), data=_columns_of_one_kind(table))
            for name in ("history", "importance"):
                if (path := self.search.folder / f"{name}.png").exists():
                    logger.log_image(name, [str(path)])
            logger.finish()


def _columns_of_one_kind(table: list[dict[str, Any]]) -> list[list[Any]]:
    """Rows in which a column holds numbers or words, as W&B demands."""
    words = {key for key in table[0] if any(isinstance(row[key], str) for row in table)}
    return [[str(value) if key in words else value for key, value in row.items()] for row in table]
