"""Reads the jobs of a grid (`segment train -m`, `segment evaluate -m`) for its page."""

import csv
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from segment.metrics.scores import mean_scores
from segment.run.folder import process_records, resources_used
from segment.view.page.run_folder import read_config, read_environment, read_scores
from segment.view.page.sweep_folder import Sweep, Trial
from segment.view.page.table import finite, parsed

MULTIRUN = "multirun.yaml"  # what Hydra writes into the folder of a grid
_DICE = "mean Dice of the test"


def read_grid(folder: Path) -> Sweep:
    """Read the jobs of a grid.

    The value of a job is the best score of its validations, as for its best checkpoint. If no job has one, as in
    evaluations, it is the mean Dice of its cases.

    Raises:
        UserError: When a file is damaged.
    """
    jobs = sorted((path for path in folder.iterdir() if path.name.isdigit() and path.is_dir()), key=_number)
    configs = [read_config(job) for job in jobs]
    first = next((config for config in configs if config.get("monitor")), {})
    metric, higher = str(first.get("monitor", _DICE)), first.get("monitor_mode", "max") == "max"
    values = [_best(job, metric, higher) for job in jobs]
    if all(value is None for value in values):
        metric, higher, values = _DICE, True, [_mean_dice(job) for job in jobs]
    params = _differing([_overrides(job) for job in jobs])
    trials = []
    for index, (job, value) in enumerate(zip(jobs, values, strict=True)):
        state, why = _state(job, value)
        own = {key: column[index] for key, column in params.items()}
        trials.append(Trial(int(job.name), state, value, own, why, _facts(job), [job.relative_to(folder)]))
    return Sweep("job", metric, higher, trials)


def _state(job: Path, value: float | None) -> tuple[str, str]:
    """State of a job, and why it is not complete."""
    last = process_records(read_environment(job))[-1]
    if not last.get("finished", "hours" in last):  # earlier versions recorded only that a process had ended
        return "not finished", "it failed, was stopped, or is still running"
    if value is None:
        return "no score", "its folder has no score"
    return "complete", ""


def _number(job: Path) -> int:
    return int(job.name)


def _best(job: Path, metric: str, higher: bool) -> float | None:
    """The best value of a metric in metrics.csv; None without one."""
    path = job / "metrics.csv"
    if not path.exists():
        return None
    with path.open(encoding="utf-8", newline="") as file:
        rows = csv.reader(file)
        header = next(rows, [])
        column = header.index(metric) if metric in header else len(header)
        values = [finite(row[column]) for row in rows if column < len(row)]
    known = [value for value in values if value is not None]
    return (max if higher else min)(known) if known else None


def _mean_dice(job: Path) -> float | None:
    """Mean over organs of the means over patients, as the test prints it."""
    scores, _ = read_scores(job)
    mean = mean_scores(scores.values()).get("dice/mean", math.nan)
    return None if math.isnan(mean) else mean


def _overrides(job: Path) -> dict[str, str]:
    """Values of the overrides of a job by key; empty if they were not recorded."""
    recorded = read_environment(job).get("overrides") or []
    pairs = (str(override).partition("=") for override in recorded)
    return {key.lstrip("+~"): value for key, _, value in pairs}


def _differing(overrides: Sequence[Mapping[str, str]]) -> dict[str, list[Any]]:
    """Columns of the overrides that differ between jobs."""
    keys = dict.fromkeys(key for own in overrides for key in own)
    columns = {key: [own.get(key, "") for own in overrides] for key in keys}
    return {key: parsed(column) for key, column in columns.items() if len(set(column)) > 1}


def _facts(job: Path) -> dict[str, str]:
    """Time of a job, in words."""
    used = resources_used(process_records(read_environment(job)))
    return {"hours": f"{used['hours']:.3g}"} if "hours" in used else {}
