"""The trials of a search as a table, and the best of them."""

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

# What a reader may want to know that is neither parameter nor value.
FACTS = ("why", "epochs", "seeds", "begun", "ended")


def best_trial(trials: Iterable[FrozenTrial], direction: str) -> FrozenTrial | None:
    """The finished trial of the best value, of equal ones the first; None when none has finished."""
    done = [trial for trial in trials if trial.state == TrialState.COMPLETE]
    sign = -1 if direction == "maximize" else 1
    return min(done, key=lambda trial: sign * (trial.value or 0), default=None)


def rows(trials: Sequence[FrozenTrial]) -> list[dict[str, Any]]:
    """A dictionary per trial, all with the same keys.

    `value` is that of a finished trial; of a pruned one it is the last seen. `epochs` counts validations of the first
    seed, `seeds` the trainings that are done.
    """
    names = list(dict.fromkeys(name for trial in trials for name in trial.params))
    return [
        {
            "trial": trial.number,
            "state": trial.state.name.lower(),
            "value": trial.value,
            **{name: trial.params.get(name) for name in names},
            "why": trial.user_attrs.get("why", ""),
            "epochs": len(trial.intermediate_values),
            "seeds": len(trial.user_attrs.get("seeds", {})),
            "begun": _time(trial.datetime_start),
            "ended": _time(trial.datetime_complete),
        }
        for trial in trials
    ]


def write_table(path: Path, trials: Sequence[FrozenTrial]) -> None:
    """Write trials.csv."""
    table = rows(trials)
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(table[0] if table else [])
    writer.writerows(row.values() for row in table)
    write_text(path, text.getvalue())


def write_best(path: Path, trial: FrozenTrial, overrides: Sequence[str]) -> None:
    """Write best.yaml: trial, value, and as overrides those of all trials and its own."""
    own = [*overrides, *(override(key, value) for key, value in trial.params.items())]
    write_yaml(path, {"trial": trial.number, "value": trial.value, "overrides": own})


def write_yaml(path: Path, content: dict[str, Any]) -> None:
    """Write plain values without absolute paths; a comment tells if there was one."""
    private = without_paths(content)
    head = "" if private == content else "# Of every absolute path only the last name is kept: put the others back.\n"
    write_text(path, head + yaml.safe_dump(private, sort_keys=False))


def print_table(trials: Sequence[FrozenTrial], monitor: str, direction: str) -> None:
    """Print trials, the best first, then those without a value as they came."""
    sign = -1 if direction == "maximize" else 1
    done = sorted((t for t in trials if t.state == TrialState.COMPLETE), key=lambda t: sign * (t.value or 0))
    others = [trial for trial in trials if trial.state != TrialState.COMPLETE]
    table = Table(title=f"{len(trials)} trials, {len(done)} finished")
    shown = [{k: v for k, v in row.items() if k not in FACTS[1:]} for row in rows([*done, *others])]
    for name in shown[0] if shown else []:
        table.add_column(monitor if name == "value" else name, overflow="fold")
    for row in shown:
        table.add_row(*(_shown(value) for value in row.values()))
    Console().print(table)


def _shown(value: Any) -> str:  # noqa: ANN401
    if value is None:
        return ""
    return f"{value:.4g}" if type(value) is float else str(value)


def _time(moment: Any) -> str:  # noqa: ANN401
    return "" if moment is None else moment.isoformat(sep=" ", timespec="seconds")
