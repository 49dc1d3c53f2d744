"""Table of the trials of a search, and the best trial."""

import csv
import io
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import yaml
from optuna.trial import FrozenTrial, TrialState
from rich.console import Console
from rich.table import Table

from segment.files import write_text
from segment.privacy import without_paths
from segment.search.space import override

UNPRINTED = ("epochs", "seeds", "start_time", "end_time")  # columns that only trials.csv has


def finished(trials: Iterable[FrozenTrial]) -> list[FrozenTrial]:
    """The trials that have finished."""
    return [trial for trial in trials if trial.state == TrialState.COMPLETE]


def best_trial(trials: Iterable[FrozenTrial], direction: str) -> FrozenTrial | None:
    """The finished trial with the best value, the first of several equal ones; None if none has finished."""
    done = finished(trials)
    sign = -1 if direction == "maximize" else 1
    return min(done, key=lambda trial: sign * (trial.value or 0), default=None)


def rows(trials: Sequence[FrozenTrial]) -> list[dict[str, Any]]:
    """A dictionary for each trial, all with the same keys.

    Absolute paths among the parameters are shortened. For a pruned trial, `value` is the last value seen. `epochs` is
    the number of validations of the first seed, `seeds` the number of finished trainings.
    """
    no_params: dict[str, Any] = {}
    for trial in trials:
        no_params |= dict.fromkeys(trial.params)
    table: list[dict[str, Any]] = []
    for trial in trials:
        row: dict[str, Any] = {"trial": trial.number, "state": trial.state.name.lower(), "value": trial.value}
        row |= no_params | without_paths(trial.params)
        row |= {
            "why": trial.user_attrs.get("why", ""),
            "epochs": len(trial.intermediate_values),
            "seeds": len(trial.user_attrs.get("seeds", {})),
            "start_time": _time(trial.datetime_start),
            "end_time": _time(trial.datetime_complete),
        }
        table.append(row)
    return table


def write_table(path: Path, trials: Sequence[FrozenTrial]) -> None:
    """Write trials.csv."""
    table = rows(trials)
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(table[0] if table else [])
    writer.writerows(row.values() for row in table)
    write_text(path, text.getvalue())


def write_best(path: Path, trial: FrozenTrial, overrides: Sequence[str]) -> None:
    """Write best.yaml: number, value and overrides of a trial, including the overrides of all trials."""
    params = [override(key, value) for key, value in trial.params.items()]
    write_yaml(path, {"trial": trial.number, "value": trial.value, "overrides": [*overrides, *params]})


def write_yaml(path: Path, content: dict[str, Any]) -> None:
    """Write plain values. Absolute paths are shortened, and a comment at the top says so."""
    private = without_paths(content)
    text = yaml.safe_dump(private, sort_keys=False)
    if private != content:
        text = "# Absolute paths are shortened to their last part; complete them before use.\n" + text
    write_text(path, text)


def print_table(trials: Sequence[FrozenTrial], monitor: str, direction: str) -> None:
    """Print the finished trials, the best first, then the others by number."""
    done = finished(trials)
    others = [trial for trial in trials if trial.state != TrialState.COMPLETE]
    sign = -1 if direction == "maximize" else 1
    done.sort(key=lambda trial: sign * (trial.value or 0))
    table = Table(title=f"{len(trials)} trials, {len(done)} finished")
    printed = []
    for row in rows([*done, *others]):
        printed.append({name: _format(value) for name, value in row.items() if name not in UNPRINTED})
    for name in printed[0] if printed else ():
        table.add_column(monitor if name == "value" else name, overflow="fold")
    for row in printed:
        table.add_row(*row.values())
    Console().print(table)


def _format(value: Any) -> str:  # noqa: ANN401
    if value is None:
        return ""
    return f"{value:.4g}" if type(value) is float else str(value)


def _time(moment: Any) -> str:  # noqa: ANN401
    return "" if moment is None else moment.isoformat(sep=" ", timespec="seconds")
