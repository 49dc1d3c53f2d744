"""Reads the files of a run that was tested: its split.json and its cases.csv."""

import json
from pathlib import Path
from typing import Any

from segment.errors import UserError
from segment.metrics.cases_csv import read_cases
from segment.metrics.scores import OrganScore


def tested_table(run: Path) -> Path:
    """The cases.csv of a run that was tested to the end.

    Raises:
        UserError: If a test case is missing from the table, or a file of the run is damaged.
    """
    path = run / "cases.csv"
    scored = {case for case, _ in read_scores(path)} if path.is_file() else set()
    missing = set(tested_ids(run)) - scored
    if missing:
        msg = (
            f"{run} was not tested to the end: {min(missing)} is not in its cases.csv; finish it with its full "
            f"segment train command and resume={run}, or run its segment evaluate again"
        )
        raise UserError(msg)
    return path


def tested_ids(run: Path) -> list[str]:
    """Ids of a run's test cases.

    Raises:
        UserError: If its split.json is damaged.
    """
    path = run / "split.json"
    test = read_json(path).get("test")
    if not isinstance(test, list):
        msg = f"{path} names no test cases; name a whole run folder"
        raise UserError(msg)
    return test


def read_json(path: Path) -> dict[str, Any]:
    """Content of a JSON file of a run.

    Raises:
        UserError: If the file cannot be read.
    """
    try:
        return dict(json.loads(path.read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError) as error:
        msg = f"cannot read {path}: {error}; name a whole run folder"
        raise UserError(msg) from error


def read_scores(path: Path) -> list[tuple[str, OrganScore]]:
    """Case and score of every row of a cases.csv.

    Raises:
        UserError: If the table cannot be read.
    """
    try:
        return read_cases(path)
    except (OSError, KeyError, ValueError, TypeError) as error:
        msg = f"cannot read {path} ({type(error).__name__}: {error}); it must be a run's cases.csv"
        raise UserError(msg) from error
