"""Reads what a run folder holds for its page: curves, cases, confusion, configuration and provenance."""

import csv
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from segment.errors import UserError
from segment.io.json_file import read_json
from segment.metrics.cases_csv import read_cases
from segment.metrics.scores import OrganScore
from segment.run.folder import process_records, resources_used
from segment.view.page.table import finite, read_rows

Curve = list[tuple[float, float]]

VALIDATION = Path("validation", "cases.csv")  # in a run folder
_MAX_POINTS = 1500  # of a curve; more cannot be seen


def read_curves(folder: Path) -> dict[str, Curve]:
    """Steps and values of every column of metrics.csv that has any, thinned evenly to at most 1,500 points."""
    path = folder / "metrics.csv"
    curves: dict[str, Curve] = {}
    if not path.exists():
        return curves
    with path.open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            step = finite(row.get("step"))
            for column, text in row.items():
                value = finite(text)
                if column not in ("step", "epoch") and step is not None and value is not None:
                    curves.setdefault(column, []).append((step, value))
    return {column: _thinned(points) for column, points in curves.items()}


def read_columns(folder: Path) -> list[str]:
    """Names of all columns of metrics.csv, also of those without any value; none without the file."""
    path = folder / "metrics.csv"
    if not path.exists():
        return []
    with path.open(encoding="utf-8", newline="") as file:
        return next(csv.reader(file), [])


def read_scores(folder: Path) -> tuple[dict[str, list[OrganScore]], str]:
    """Scores by case, and which cases they are: "test", "validation", or "" if there are none.

    Raises:
        UserError: When the table is not a cases.csv.
    """
    tables = (("test", folder / "cases.csv", read_cases), ("validation", folder / VALIDATION, _read_dice))
    for part, path, read in tables:
        if not path.exists():
            continue
        try:
            rows = read(path)
        except (KeyError, ValueError, TypeError) as error:
            msg = f"{path} is not a table of scores of this version of segment ({error}); evaluate the checkpoint again"
            raise UserError(msg) from error
        scores: dict[str, list[OrganScore]] = {}
        for case, score in rows:
            scores.setdefault(case, []).append(score)
        if scores:
            return scores, part
    return {}, ""


def _read_dice(path: Path) -> list[tuple[str, OrganScore]]:
    """Case and score of every row of the table of the validation, which has Dice only."""
    nan = math.nan
    return [(row["case"], OrganScore(row["organ"], float(row["dice"]), nan, nan, nan, nan)) for row in read_rows(path)]


def read_confusion(folder: Path) -> dict[str, Any] | None:
    """Classes, and shares by reference class and predicted class; None if the run has no confusion.csv."""
    for path in (folder / "confusion.csv", folder / VALIDATION.with_name("confusion.csv")):
        rows = read_rows(path)
        if rows:
            classes = list(dict.fromkeys(row["reference"] for row in rows))
            shares = {(row["reference"], row["predicted"]): finite(row["share"]) for row in rows}
            return {"classes": classes, "shares": [[shares.get((a, b)) for b in classes] for a in classes]}
    return None


def read_config(folder: Path) -> dict[str, Any]:
    """The configuration; empty if the folder has none.

    Raises:
        UserError: When the file is not YAML with keys.
    """
    path = folder / "config.yaml"
    if not path.exists():
        return {}
    try:
        config = yaml.safe_load(path.read_text(encoding="utf-8"))
    except yaml.YAMLError as error:
        msg = f"{path} is not valid YAML ({str(error).splitlines()[0]}); restore it, or view another folder"
        raise UserError(msg) from error
    if not isinstance(config, dict):
        msg = f"{path} has no keys; restore it, or view another folder"
        raise UserError(msg)
    return config


def read_environment(folder: Path) -> dict[str, Any]:
    """Content of environment.json; empty if the folder has none.

    Raises:
        UserError: When the file is not JSON.
    """
    path = folder / "environment.json"
    if not path.exists():
        return {}
    content = read_json(path)
    return content if isinstance(content, dict) else {}


def provenance(environment: Mapping[str, Any]) -> tuple[list[tuple[str, str]], str]:
    """Rows of fact and value, and the uncommitted changes of the code; both empty without a record."""
    rows = []
    git = environment.get("git") or {}
    if git:
        changed = " with uncommitted changes" if git.get("diff") or git.get("untracked") else ""
        rows.append(("commit", f"{git.get('sha', '')}{changed}"))
    processes = process_records(dict(environment))
    facts = {**processes[0], **processes[-1], **resources_used(processes)}
    for label, key, unit in _FACTS:
        value = facts.get(key)
        if value not in (None, [], ""):
            rows.append((label, f"{_words(value)}{unit}"))
    if environment.get("resumed"):
        rows.append(("resumed", f"{len(environment['resumed'])} times"))
    if environment.get("cases"):
        rows.append(("cases, by hash of their voxels", str(len(environment["cases"]))))
    versions = environment.get("packages") or {}
    rows += [(str(name), str(version)) for name, version in versions.items()]
    return rows, str(git.get("diff") or "")


def forecast(folder: Path) -> list[tuple[str, str]]:
    """Rows with the time and memory that the pre-flight forecast; empty without one."""
    path = folder / "preflight.json"
    if not path.exists():
        return []
    content = read_json(path)
    rows = []
    if content.get("total_s") is not None:
        at_most = "at most " if content.get("at_most") else ""
        rows.append(("time, forecast", f"{at_most}{content['total_s'] / 3600:.4g} h"))
    if content.get("memory_bytes") is not None:
        rows.append(("memory, forecast", f"{content['memory_bytes'] / 2**30:.3g} GiB"))
    return rows


_FACTS = (
    ("segment", "segment", ""),
    ("python", "python", ""),
    ("platform", "platform", ""),
    ("processor", "cpu", ""),
    ("processor cores", "cpu_cores", ""),
    ("threads of torch", "torch_threads", ""),
    ("memory of the machine", "memory_gib", " GiB"),
    ("GPUs", "gpus", ""),
    ("CUDA", "cuda", ""),
    ("seed", "seed", ""),
    ("overrides", "overrides", ""),
    ("sweep", "sweep", ""),
    ("parameters", "parameters", ""),
    ("time", "hours", " h"),
    ("core-hours", "core_hours", ""),
    ("an epoch took", "epoch_s", " s"),
    ("highest memory", "peak_memory_gib", " GiB"),
)


def _words(value: object) -> str:
    return " ".join(map(str, value)) if isinstance(value, Sequence) and not isinstance(value, str) else str(value)


def _thinned(points: Curve) -> Curve:
    if len(points) <= _MAX_POINTS:
        return points
    last = len(points) - 1
    return [points[round(index * last / (_MAX_POINTS - 1))] for index in range(_MAX_POINTS)]
