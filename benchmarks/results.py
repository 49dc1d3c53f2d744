"""What `race.py`, `finetune.py` and `ablation.py` share: scores as rows, tables, curves, and the facts of the machine.

A row is a dictionary: what was trained (columns of the benchmark), then set, case, organ and the scores of that organ.
A `set` is either `held-out`, the synthetic cases that no training saw, or the name of a real CT.
"""

import csv
import json
import os
import platform
import sys
import time
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import asdict
from importlib import metadata
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
from omegaconf import OmegaConf
from rich.console import Console
from rich.table import Table

from segment.checkpoint.load_ensemble import load
from segment.configuration.values import config_dir
from segment.datasets.cases import Case
from segment.files import atomic_write
from segment.metrics.scores import nan_mean, score_case

ORGANS = ("liver", "right_kidney", "left_kidney", "spleen")
HELD_OUT = "held-out"
TEXT = ("contender", "start", "row", "set", "case", "organ")  # columns that hold no number
PACKAGES = ("segment", "torch", "pytorch-lightning", "monai", "nnunetv2", "numpy")
PLACES = ("out", "cache", "case")  # options that say where files are

Row = dict[str, Any]
Key = tuple[Any, ...]


def open_record(path: Path, settings: Mapping[str, Any], free: Collection[str]) -> dict[str, Any]:
    """Write machine, versions and settings of a benchmark to its JSON file, and return the content.

    Exits if the file records other settings, because their results would be mixed.

    Args:
        path: The file.
        settings: Options of the command.
        free: Options that may change between two starts. Places of files may always; they are not recorded.
    """
    plain = {key: value for key, value in settings.items() if key not in PLACES}
    record = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {"settings": plain, "starts": []}
    for key, new in plain.items():
        old = record["settings"].get(key)
        if old != new and key not in free:
            sys.exit(f"{path.parent} holds results with {key}={old}, not {new}; give another --out, or {key}={old}")
    record["settings"] = plain
    record["starts"].append({"date": time.strftime("%Y-%m-%d"), "machine": _machine(), "versions": _versions()})
    write_json(path, record)
    return record


def _versions() -> dict[str, str]:
    versions = {"python": platform.python_version()}
    for name in PACKAGES:
        try:
            versions[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            versions[name] = "not installed"
    return versions


def _machine() -> dict[str, Any]:
    names = [line.partition(":")[2].strip() for line in _cpu_info() if line.startswith("model name")]
    processor = names[0] if names else platform.machine()
    return {"processor": processor, "cores": os.cpu_count(), "load_at_start": round(os.getloadavg()[0], 1)}


def _cpu_info() -> list[str]:
    path = Path("/proc/cpuinfo")
    return path.read_text(encoding="utf-8").splitlines() if path.exists() else []


def score(pred: np.ndarray, reference: np.ndarray, affine: np.ndarray, organs: Iterable[str]) -> list[Row]:
    """Rows of one case, without its names.

    Args:
        pred: Class indices (I,J,K), of ORGANS from 1.
        reference: The same of the reference.
        affine: (4,4) voxel → mm of both.
        organs: The organs that the reference shows; the others are left out.
    """
    tolerance_mm = OmegaConf.load(Path(config_dir()) / "recipe.yaml").tolerance_mm
    scores = score_case(pred, reference, affine, ORGANS, tolerance_mm)
    return [asdict(one) for one in scores if one.organ in set(organs)]


def score_checkpoint(checkpoint: str | Path, cases: Mapping[str, Sequence[Case]], names: Row) -> list[Row]:
    """Rows of a checkpoint of ours on the cases of every set, on the CTs' own grids.

    Args:
        checkpoint: A file, or `starter`.
        cases: By set.
        names: The columns that say what was trained.
    """
    trained, rows = load(str(checkpoint)), []
    for name, of_set in cases.items():
        for case in of_set:
            scan = case.read()
            reference = case.label.read(scan, case.image, ORGANS)
            found = score(trained.segmenter(scan), reference, scan.affine, case.label.structures)
            rows += [{**names, "set": name, "case": case.id, **row} for row in found]
    return rows


def write_rows(path: Path, rows: Sequence[Row]) -> None:
    """Write rows as CSV, atomically."""
    with atomic_write(path) as temporary, temporary.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)


def read_rows(path: Path) -> list[Row]:
    """Read the rows of `write_rows`; numbers are floats."""
    with path.open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    return [{key: value if key in TEXT else float(value) for key, value in row.items()} for row in rows]


def write_json(path: Path, content: Any) -> None:
    """Write JSON, atomically."""
    with atomic_write(path) as temporary:
        temporary.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")


def mean_dice(rows: Iterable[Row], columns: Sequence[str]) -> dict[Key, dict[str, float]]:
    """Mean Dice over cases by organ, and the mean of these as `mean`, for every value of the columns, in order.

    An organ that is in neither prediction nor reference of a case (NaN) is left out; one that no case shows is NaN.
    """
    groups: dict[Key, dict[str, list[float]]] = {}
    for row in rows:
        group = groups.setdefault(tuple(row[column] for column in columns), {organ: [] for organ in ORGANS})
        group[row["organ"]].append(row["dice"])
    means = {}
    for key, by_organ in groups.items():
        of_organs = {organ: nan_mean(values) for organ, values in by_organ.items()}
        means[key] = of_organs | {"mean": nan_mean(of_organs.values())}
    return means


def print_table(title: str, rows: Sequence[Row], columns: Sequence[str]) -> None:
    """Print the mean Dice by organ, for every value of the columns and every set."""
    table = Table(*columns, "set", *ORGANS, "mean", title=title)
    for key, dice in mean_dice(rows, [*columns, "set"]).items():
        cells = [f"{value:g}" if isinstance(value, float) else str(value) for value in key]
        table.add_row(*cells, *("-" if np.isnan(value) else f"{value:.3f}" for value in dice.values()))
    Console(width=150).print(table)


def draw_curves(path: Path, rows: Sequence[Row], line: str, x: str, label: str) -> None:
    """Draw Dice over a column: a row of pictures per set, one picture per organ and one for the mean.

    Args:
        path: PNG, SVG or PDF.
        rows: Scores.
        line: Column that makes the lines.
        x: Column along the axis, numbers.
        label: Name of that axis.
    """
    matplotlib.use("Agg")
    from matplotlib import pyplot as plt

    sets = list(dict.fromkeys(row["set"] for row in rows))
    titles = (*ORGANS, "mean")
    size = (3 * len(titles), 2.8 * len(sets) + 0.6)
    figure, axes = plt.subplots(len(sets), len(titles), figsize=size, sharey=True, squeeze=False)
    for (of_set, name), points in _lines(rows, line, x).items():
        for axis, title in zip(axes[sets.index(of_set)], titles, strict=True):
            known = sorted((at, dice[title]) for at, dice in points if not np.isnan(dice[title]))
            axis.plot([at for at, _ in known], [value for _, value in known], marker="o", label=name)
            axis.set(title=f"{title.replace('_', ' ')}, {of_set}", xlabel=label, ylim=(0, 1))
            axis.grid(alpha=0.3)
    axes[0][0].set_ylabel("Dice")
    for axis in axes.flat:
        axis.set_visible(any(len(line.get_xdata()) for line in axis.lines))  # a set may lack an organ
    handles, names = axes[0][-1].get_legend_handles_labels()
    figure.legend(handles, names, loc="lower center", ncols=max(1, len(names)), frameon=False)
    figure.tight_layout(rect=(0, 0.5 / size[1], 1, 1))
    figure.savefig(path, dpi=110)
    plt.close(figure)


def _lines(rows: Sequence[Row], line: str, x: str) -> dict[Key, list[tuple[float, dict[str, float]]]]:
    """Points of every line by (set, name): position and Dice by organ."""
    lines: dict[Key, list[tuple[float, dict[str, float]]]] = {}
    for (of_set, name, at), dice in mean_dice(rows, ("set", line, x)).items():
        lines.setdefault((of_set, name), []).append((at, dice))
    return lines
