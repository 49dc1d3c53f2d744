"""What a Weights & Biases run shows beside its curves, out of the files of the run folder."""

import csv
import math
import shutil
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import wandb

import segment
from segment.loggers.metrics_csv import number

CONFIG = "run/config.yaml"  # in W&B, which has a config.yaml of its own
FILES = {
    "config.yaml": CONFIG,
    **{name: name for name in ("split.json", "environment.json", "cases.csv", "confusion.csv", "validation/cases.csv")},
}
PICTURES = {
    "validation/worst": "validation/worst.png",
    "validation/median": "validation/median.png",
    "confusion/shares": "confusion.png",
}


def tables(folder: Path) -> dict[str, Any]:
    """Scores per case and organ, the lowest Dice first, of test and validation; and which organ was taken for which."""
    found: dict[str, Any] = {}
    for key, name in (("cases", "cases.csv"), ("validation/cases", "validation/cases.csv")):
        if rows := _read(folder / name):
            worst_first = sorted(rows, key=lambda row: math.inf if row["dice"] is None else row["dice"])
            found[key] = _table(worst_first)
    # Of the validation only where nothing was tested.
    for name in ("confusion.csv", "validation/confusion.csv"):
        if "confusion" not in found and (rows := _read(folder / name)):
            found["confusion"] = _table(rows)
    return found


def pictures(folder: Path) -> dict[str, Any]:
    """Pictures of the validation, and of the confusion between organs."""
    return {key: wandb.Image(str(folder / name)) for key, name in PICTURES.items() if (folder / name).exists()}


def best_scores(rows: Sequence[Mapping[str, Any]], monitor: str, better: Callable[..., Any] = max) -> dict[str, Any]:
    """The scores of validation in the row with the best `monitor`, the first of equals; W&B itself keeps the last ones.

    Args:
        rows: Rows of metrics.csv.
        monitor: A column.
        better: `max`, or `min` where the lowest is the best.

    Returns:
        `best/<column>` of all columns `val/…`, of epoch and step; empty when none was validated.
    """
    scored = [row for row in rows if row.get(monitor, "") != "" and not math.isnan(float(row[monitor]))]
    if not scored:
        return {}
    best = better(scored, key=lambda row: float(row[monitor]))
    return {
        f"best/{name}": number(value)
        for name, value in best.items()
        if value != "" and (name.startswith("val/") or name in ("epoch", "step"))
    }


def save_files(run: Any, folder: Path) -> None:  # noqa: ANN401
    """Keep the run folder's small files with the run."""
    kept = Path(run.dir)
    for name, shown in FILES.items():
        if (folder / name).exists():
            (kept / shown).parent.mkdir(parents=True, exist_ok=True)
            # Copied by us: of its own links and copies wandb tells aloud.
            shutil.copyfile(folder / name, kept / shown)
            run.save(str(kept / shown), base_path=str(kept), policy="now")


def send_artifacts(run: Any, folder: Path) -> None:  # noqa: ANN401
    """Upload code, configuration and split; equal ones become one version that the runs share."""
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
    """Rows with numbers, NaN as None, which W&B shows as nothing."""
    if not path.exists():
        return []
    with path.open(encoding="utf-8", newline="") as file:
        rows = [{name: _cell(name, text) for name, text in row.items()} for row in csv.DictReader(file)]
    return rows


def _cell(name: str, text: str) -> float | str | None:
    if name in ("case", "organ", "reference", "predicted"):  # a case may be called 12
        return text
    value = float(text)
    return None if math.isnan(value) else value


def _table(rows: Sequence[Mapping[str, Any]]) -> Any:  # noqa: ANN401
    return wandb.Table(columns=list(rows[0]), data=[list(row.values()) for row in rows], allow_mixed_types=True)
