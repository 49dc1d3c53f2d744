"""The page of a comparison: verdicts, figure, tables, and the runs behind them."""

import base64
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import quote

from segment.errors import UserError
from segment.io.json_file import read_json
from segment.metrics.definitions import METRICS
from segment.view.page.document import PAGE, write_page
from segment.view.page.scan import Blobs
from segment.view.page.table import finite, read_rows

COMPARISON = "comparison.json"
_TITLE = "Comparison of runs"


def write_comparison_page(path: Path, folder: Path) -> None:
    """Write the page of a comparison from the files that `segment compare` wrote.

    Args:
        path: The page.
        folder: Holds comparison.json, summary.csv, differences.csv and figure.png.

    Raises:
        UserError: When a file is missing or damaged.
    """
    blobs = Blobs()
    comparison = read_json(folder / COMPARISON)
    summary, differences = _table(folder / "summary.csv"), _table(folder / "differences.csv")
    metrics = list(dict.fromkeys(row["metric"] for row in summary))
    try:
        figure = base64.b64encode((folder / "figure.png").read_bytes()).decode()
        data = {
            "kind": "comparison",
            "title": _TITLE,
            "subtitle": comparison["overview"],
            "notes": [],
            "metrics": [_metric(key) for key in metrics],
            "scores": [_numbers(row, _SCORES) for row in summary],
            "differences": [_numbers(row, _DIFFERENCES) for row in differences],
            "figure": blobs.add(figure),
            "cases": len(comparison["cases"]),
            "arms": [_linked(arm, path, folder) for arm in comparison["arms"]],
            **{key: comparison[key] for key in ("verdicts", "remarks", "settings")},
            "reasons": comparison["notes"],
        }
    except (KeyError, TypeError, OSError) as error:
        msg = f"{folder} lacks a part of a comparison ({error}); compare the runs again"
        raise UserError(msg) from error
    write_page(path, _TITLE, data, blobs.texts)


_SCORES = ("mean", "low", "high", "sd_patients", "sd_seeds")
_DIFFERENCES = ("patients", "difference", "low", "high", "p_wilcoxon", "p_seeds", "p_holm", "detectable")


def _table(path: Path) -> list[dict[str, str]]:
    if not path.exists():
        msg = f"{path} is missing; compare the runs again"
        raise UserError(msg)
    return read_rows(path)


def _linked(arm: Mapping[str, Any], page: Path, folder: Path) -> dict[str, Any]:
    """An arm whose runs have the path of their page, relative to this one, or None."""
    runs = [{**run, "page": _page_of(run.get("folder"), page, folder)} for run in arm["runs"]]
    return {**arm, "runs": runs}


def _page_of(run: str | None, page: Path, folder: Path) -> str | None:
    """The page of a run whose folder is known relative to that of the comparison; None if it has none.

    A page that is not in the folder of the comparison links only to what lies below it, because another path would
    contain folders of this machine.
    """
    if run is None or not (folder / run / PAGE).exists():
        return None
    path = Path(os.path.relpath(folder / run / PAGE, page.parent))
    is_inside = page.resolve().parent == folder.resolve()
    return quote(path.as_posix()) if is_inside or ".." not in path.parts else None


def _numbers(row: Mapping[str, str], names: tuple[str, ...]) -> dict[str, Any]:
    """A row with its numbers as numbers; NaN becomes None, and infinity the word `infinite`."""
    values = {name: "infinite" if row[name] == "inf" else finite(row[name]) for name in names}
    return {**row, **values}


def _metric(key: str) -> dict[str, Any]:
    metric = METRICS[key]
    fields = ("title", "digits", "unit", "scale")
    return {"key": key, **{name: getattr(metric, name) for name in fields}}
