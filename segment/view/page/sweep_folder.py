"""Reads the trials of a search (`segment sweep`) for its page."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from segment.configuration.values import flatten
from segment.errors import UserError
from segment.view.page.run_folder import read_config
from segment.view.page.table import finite, parsed, read_rows

TRIALS = "trials.csv"
SEARCH = "wandb_sweep.yaml"  # written when a search starts, before its first trial ends
IMPORTANCE = "importance.csv"
_BEFORE, _AFTER = ("trial", "state", "value"), ("why", "epochs", "seeds", "start_time", "end_time")


@dataclass(frozen=True)
class Trial:
    """One trial of a search, or one job of a grid.

    Attributes:
        number: Its number.
        state: complete, pruned, fail or running.
        value: Its score; None if there is none.
        params: Value by parameter, as text or number; None if the trial does not have it.
        why: Why it did not complete; empty if it did.
        facts: More words and their values, e.g. its start.
        runs: Paths of its run folders, relative to the folder of the search.
    """

    number: int
    state: str
    value: float | None
    params: Mapping[str, float | str | None]
    why: str
    facts: Mapping[str, str]
    runs: Sequence[Path]


@dataclass(frozen=True)
class Sweep:
    """What the page of a sweep shows.

    Attributes:
        what: What a trial is called: trial, or job.
        metric: Name of the value.
        higher: Whether a higher value is better.
        trials: The trials, by number.
        logarithmic: Parameters that were searched on a logarithmic scale.
        importance: Parameters and their shares, the largest first.
        best: Overrides of the best trial.
        notes: Sentences for the reader.
    """

    what: str
    metric: str
    higher: bool
    trials: Sequence[Trial]
    logarithmic: Sequence[str] = ()
    importance: Sequence[tuple[str, float]] = ()
    best: Sequence[str] = ()
    notes: Sequence[str] = field(default_factory=tuple)


def read_sweep(folder: Path) -> Sweep:
    """Read what `segment sweep` wrote.

    Raises:
        UserError: When a file is damaged.
    """
    objective = _yaml(folder / SEARCH).get("metric") or {}
    space = flatten(read_config(folder).get("space") or {})
    best = _yaml(folder / "best.yaml")
    rows = read_rows(folder / TRIALS)
    shares = [(row["parameter"], float(row["share"])) for row in read_rows(folder / IMPORTANCE)]
    return Sweep(
        what="trial",
        metric=str(objective.get("name", "value")),
        higher=objective.get("goal", "maximize") == "maximize",
        trials=_trials(folder, rows),
        logarithmic=[key.removesuffix(".log") for key, value in space.items() if key.endswith(".log") and value],
        importance=shares,
        best=[str(override) for override in best.get("overrides") or []],
    )


def _trials(folder: Path, rows: Sequence[Mapping[str, str]]) -> list[Trial]:
    try:
        names = [name for name in (rows[0] if rows else ()) if name not in (*_BEFORE, *_AFTER)]
        columns = {name: parsed([row[name] for row in rows]) for name in names}
        return [
            Trial(
                number=int(row["trial"]),
                state=row["state"],
                value=finite(row["value"]),
                params={name: column[index] for name, column in columns.items()},
                why=row["why"],
                facts={word: row.get(key, "") for word, key in _FACTS.items()},
                runs=_runs(folder, Path("trials", row["trial"])),
            )
            for index, row in enumerate(rows)
        ]
    except (KeyError, TypeError, ValueError) as error:
        msg = f"{folder / TRIALS} is not a table of trials of this version of segment ({error}); resume the sweep"
        raise UserError(msg) from error


_FACTS = {"validations": "epochs", "finished seeds": "seeds", "start": "start_time", "end": "end_time"}


def _runs(folder: Path, trial: Path) -> list[Path]:
    """The run folder of a trial, or one for each of its seeds."""
    place = folder / trial
    if (place / "config.yaml").exists() or not place.is_dir():
        return [trial]
    return sorted((path.relative_to(folder) for path in place.glob("seed*")), key=lambda path: (len(path.name), path))


def _yaml(path: Path) -> dict[str, Any]:
    """Content of a YAML file with keys; empty if it does not exist."""
    if not path.exists():
        return {}
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except yaml.YAMLError as error:
        msg = f"{path} is not valid YAML ({str(error).splitlines()[0]}); restore it"
        raise UserError(msg) from error
    return content if isinstance(content, dict) else {}
