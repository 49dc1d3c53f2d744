"""Logs a comparison to Weights & Biases."""

import logging
import math
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import wandb

from segment.comparison.comparison import Comparison
from segment.comparison.report.tables import DIFFERENCES, SUMMARY, difference_rows, summary_rows
from segment.comparison.report.verdicts import numbered_notes, overview, verdicts
from segment.loggers.wandb_internals import keep_as_file
from segment.loggers.wandb_session import caches_in, choose_mode, end_run, start_session

log = logging.getLogger(__name__)


def log_comparison(comparison: Comparison, folder: Path, project: str) -> None:
    """Create a run of type `compare` with the tables, the figure and the page as panels.

    As in training, the run is offline if there is no key. An error of W&B is logged as a warning, because `folder`
    holds all results.

    Args:
        comparison: The comparison to log.
        folder: Folder with its files; those of W&B go to `wandb/` in it.
        project: Project to log into.
    """
    mode = choose_mode(None)
    if mode == "disabled":
        return
    try:
        with caches_in(folder):
            run = start_session(
                folder, mode, {"project": project, "name": f"compare {folder.name}", "job_type": "compare"}
            )
            try:
                _log(run, comparison, folder)
            finally:
                end_run(run, folder, 0)
    except Exception as error:
        log.warning("cannot log the comparison to Weights & Biases: %s: %s", type(error).__name__, error)


def _log(run: Any, comparison: Comparison, folder: Path) -> None:  # noqa: ANN401  # wandb's own type
    settings = comparison.settings
    run.config.update({"alpha": settings.alpha, "resamples": settings.resamples, "seed": settings.seed})
    names = {}
    for arm in comparison.arms:
        names[arm.letter] = [member.name for member in arm.runs]
    run.config.update({"arms": names})
    run.config.update({"parameters": {arm.letter: arm.parameters for arm in comparison.arms}})
    run.config.update({"hours": {arm.letter: arm.hours for arm in comparison.arms}})
    run.config.update({"notes": numbered_notes(comparison)})
    sentences = [(verdict.first, verdict.second, " ".join(verdict.sentences)) for verdict in verdicts(comparison)]
    tables = {
        "scores": _table(SUMMARY, summary_rows(comparison)),
        "differences": _table(DIFFERENCES, difference_rows(comparison)),
        "verdicts": _table(("first", "second", "verdict"), sentences),
    }
    for key, table in tables.items():
        keep_as_file(table, run, key, 0)
    page = wandb.Html((folder / "index.html").read_text(encoding="utf-8"), inject=False)
    run.log({**tables, "figure": wandb.Image(str(folder / "figure.png")), "page": page})
    run.summary["overview"] = overview(comparison)


def _table(columns: Sequence[str], rows: Iterable[Sequence[object]]) -> Any:  # noqa: ANN401
    """A W&B table in which NaN and infinity are None."""
    data = [list(map(_finite, row)) for row in rows]
    return wandb.Table(columns=list(columns), data=data, allow_mixed_types=True)


def _finite(cell: object) -> object:
    if isinstance(cell, float) and not math.isfinite(cell):
        return None
    return cell
