"""What a Weights & Biases run shows beside its curves, read from the files of the run folder."""

import csv
import math
import shutil
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import wandb

import segment
from segment.loggers.metrics_csv import number
from segment.metrics.scores import nan_mean

CONFIG = "run/config.yaml"  # the name in W&B, which writes its own config.yaml
# Files to upload, and their names in W&B.
FILES = {
    "config.yaml": CONFIG,
    "split.json": "split.json",
    "environment.json": "environment.json",
    "cases.csv": "cases.csv",
    "confusion.csv": "confusion.csv",
    "validation/cases.csv": "validation/cases.csv",
}
PICTURES = {
    "validation/worst": "validation/worst.png",
    "validation/median": "validation/median.png",
    "confusion/shares": "confusion.png",
}


def tables(folder: Path) -> dict[str, Any]:
    """Scores of the test and validation cases, the lowest Dice first, and the confusion of organs, as W&B tables."""
    found: dict[str, Any] = {}
    for key, name in (("cases", "cases.csv"), ("validation/cases", "validation/cases.csv")):
        rows = _read(folder / name)
        if rows:
            rows.sort(key=lambda row: math.inf if row["dice"] is None else row["dice"])
            found[key] = _table(rows)
    # Without a test, the confusion of the validation is shown instead.
    confusion = _read(folder / "confusion.csv") or _read(folder / "validation/confusion.csv")
    if confusion:
        found["confusion"] = _table(confusion)
    return found


def pictures(folder: Path) -> dict[str, Any]:
    """Pictures of the validation, and of the confusion between organs."""
    return {key: wandb.Image(str(folder / name)) for key, name in PICTURES.items() if (folder / name).exists()}


def worst_case(folder: Path) -> dict[str, Any]:
    """Picture, video and turning organs of the test case with the lowest mean Dice, as far as the run has them."""
    values: dict[str, list[float]] = {}
    for row in _read(folder / "cases.csv"):
        values.setdefault(row["case"], [])
        if row["dice"] is not None:
            values[row["case"]].append(row["dice"])
    means = {case: nan_mean(own) for case, own in values.items() if own}
    if not means:
        return {}
    place = folder / "cases" / min(means, key=lambda case: means[case]).replace("/", "-")
    found: dict[str, Any] = {}
    if (place / "overlay.png").exists():
        found["cases/worst"] = wandb.Image(str(place / "overlay.png"))
    for key, name in (("cases/worst_video", "organs.mp4"), ("cases/worst_turntable", "turntable.gif")):
        if (place / name).exists():
            found[key] = wandb.Video(str(place / name), format=Path(name).suffix[1:])
    return found


def best_scores(rows: Sequence[Mapping[str, Any]], monitor: str, better: Callable[..., Any] = max) -> dict[str, Any]:
    """The validation scores of the row with the best `monitor`, or of the first such row. W&B keeps only the last ones.

    Args:
        rows: Rows of metrics.csv.
        monitor: A column.
        better: `max`, or `min` if the lowest value is the best.

    Returns:
        `best/<column>` for all columns `val/…`, epoch and step; empty if there was no validation.
    """
    scored = [row for row in rows if row.get(monitor, "") != "" and not math.isnan(float(row[monitor]))]
    if not scored:
        return {}
    best = better(scored, key=lambda row: float(row[monitor]))
    scores = {}
    for name, value in best.items():
        if value != "" and (name.startswith("val/") or name in ("epoch", "step")):
            scores[f"best/{name}"] = number(value)
    return scores


def save_files(run: Any, folder: Path) -> None:  # noqa: ANN401
    """Upload the small files of the run folder with the run."""
    target = Path(run.dir)
    for name, name_in_wandb in FILES.items():
        if (folder / name).exists():
            copy = target / name_in_wandb
            copy.parent.mkdir(parents=True, exist_ok=True)
            # We copy the file, because wandb prints a message when it links or copies one itself.
            shutil.copyfile(folder / name, copy)
            run.save(str(copy), base_path=str(target), policy="now")


def send_artifacts(run: Any, folder: Path) -> None:  # noqa: ANN401
    """Upload code, configuration and split as artifacts. Runs with equal files share one version."""
    package = Path(segment.__file__).parent
    root = package.parent
    conf = next(path for path in (package / "conf", root / "conf") if path.is_dir())
    code = wandb.Artifact("segment-code", type="code")
    for path in sorted([*package.rglob("*.py"), *conf.rglob("*.yaml")]):
        code.add_file(str(path), name=path.relative_to(root).as_posix(), skip_cache=True)
    run.log_artifact(code)
    if (folder / "split.json").exists():
        split = wandb.Artifact("segment-split", type="split")
        split.add_file(str(folder / "split.json"), skip_cache=True)
        run.log_artifact(split)


def _read(path: Path) -> list[dict[str, Any]]:
    """Rows of a CSV file with numbers; empty without the file. NaN becomes None, which W&B shows as an empty cell."""
    if not path.exists():
        return []
    rows = []
    with path.open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            rows.append({name: _cell(name, text) for name, text in row.items()})
    return rows


def _cell(name: str, text: str) -> float | str | None:
    if name in ("case", "organ", "reference", "predicted"):  # text, even if a case is named 12
        return text
    value = float(text)
    return None if math.isnan(value) else value


def _table(rows: Sequence[Mapping[str, Any]]) -> Any:  # noqa: ANN401
    return wandb.Table(columns=list(rows[0]), data=[list(row.values()) for row in rows], allow_mixed_types=True)
