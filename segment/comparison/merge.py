"""The tables of several runs, such as the folds of a cross-validation, as one."""

import json
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any

from segment.errors import UserError
from segment.files import write_text
from segment.metrics.cases_csv import COLUMNS, csv_text, read_cases
from segment.metrics.scores import OrganScore, nan_mean
from segment.run.recipe import read_config, shared_config

NUMBERS = [field.name for field in fields(OrganScore)][1:]


def find_tables(runs: Iterable[str | Path]) -> list[Path]:
    """The cases.csv of run folders, and of the runs of sweep folders, sorted.

    Raises:
        UserError: When a folder holds no run, a run was not tested to the end, there is only one in all, or they are
            of several recipes.
    """
    tables: list[Path] = []
    for run in map(Path, runs):
        is_run = (run / "split.json").exists()
        found = [run] if is_run else sorted(path.parent for path in run.glob("*/split.json"))
        if not found:
            msg = f"no run in {run}; name run folders, or the folder of a sweep"
            raise UserError(msg)
        tables += [tested_table(folder) for folder in found]
    tables = sorted(set(tables))
    if len(tables) < 2:
        msg = f"{len(tables)} table to merge; name the folder of a sweep, or several run folders: 'runs=[a,b]'"
        raise UserError(msg)
    shared_config({str(table.parent): read_config(table.parent) for table in tables})
    return tables


def tested_table(run: Path) -> Path:
    """The cases.csv of a run, whole.

    Raises:
        UserError: When a test case is not in it, or a file of the run is damaged.
    """
    path = run / "cases.csv"
    done = {case for case, _ in read_scores(path)} if path.is_file() else set()
    if missing := set(tested_ids(run)) - done:
        msg = (
            f"{run} was not tested to the end: {min(missing)} is not in its cases.csv; finish it by its "
            f"whole segment train command with resume={run}, or run its segment evaluate again"
        )
        raise UserError(msg)
    return path


def tested_ids(run: Path) -> list[str]:
    """Ids of a run's test cases.

    Raises:
        UserError: When its split.json is damaged.
    """
    path = run / "split.json"
    test = read_facts(path).get("test")
    if not isinstance(test, list):
        msg = f"{path} names no test cases; name a whole run folder"
        raise UserError(msg)
    return test


def read_facts(path: Path) -> dict[str, Any]:
    """What a JSON file of a run tells.

    Raises:
        UserError: When it cannot be read.
    """
    try:
        return dict(json.loads(path.read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError) as error:
        msg = f"cannot read {path}: {error}; name a whole run folder"
        raise UserError(msg) from error


def read_scores(path: Path) -> list[tuple[str, OrganScore]]:
    """Case and score of every row of a cases.csv.

    Raises:
        UserError: When it cannot be read.
    """
    try:
        return read_cases(path)
    except (OSError, KeyError, ValueError, TypeError) as error:
        msg = f"cannot read {path} ({type(error).__name__}: {error}); it must be a run's cases.csv"
        raise UserError(msg) from error


def merge_cases(tables: Sequence[Path]) -> dict[str, list[OrganScore]]:
    """Scores of every case, in the order of their names.

    A case that several runs tested, as those of a test set that all folds share, gets the mean of its scores, NaN left
    out.

    Raises:
        UserError: When the runs have other organs.
    """
    rows: dict[str, dict[str, list[OrganScore]]] = defaultdict(lambda: defaultdict(list))
    organs: dict[Path, list[str]] = {}
    for path in tables:
        scores = read_scores(path)
        organs[path] = list(dict.fromkeys(score.organ for _, score in scores))
        for case, score in scores:
            rows[case][score.organ].append(score)
    first = organs[tables[0]]
    if other := next((path for path in tables if organs[path] != first), None):
        there = ", ".join(organs[other]) or "nothing"
        msg = f"{tables[0]} scores {', '.join(first)}, but {other} {there}; merge runs of the same organs"
        raise UserError(msg)
    return {case: [_mean(organ, own) for organ, own in by_organ.items()] for case, by_organ in sorted(rows.items())}


def write_merged(path: Path, cases: Mapping[str, Sequence[OrganScore]]) -> None:
    """Write a cases.csv."""
    rows = [
        [case, *(getattr(score, name) for name in COLUMNS[1:])] for case, scores in cases.items() for score in scores
    ]
    write_text(path, csv_text([COLUMNS, *rows]))


def _mean(organ: str, scores: Sequence[OrganScore]) -> OrganScore:
    return OrganScore(organ, *(nan_mean(getattr(score, name) for score in scores) for name in NUMBERS))
