"""A comparison in Weights & Biases."""

import logging
import math
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import wandb

from segment.comparison.comparison import Comparison
from segment.comparison.report.tables import DIFFERENCES, SUMMARY, difference_rows, summary_rows
from segment.comparison.report.words import numbered, overview, verdicts
from segment.loggers.wandb_session import caches_in, chosen_mode, end_run, start_session

log = logging.getLogger(__name__)


def log_comparison(comparison: Comparison, folder: Path, project: str) -> None:
    """Make a run of the type `compare` that shows the tables, the figure and the page as panels.

    Offline, as for training, unless there is a key. A failure of W&B is a warning: the folder holds everything.

    Args:
        comparison: What to show.
        folder: Where its files are; W&B's go to `wandb/` in it.
        project: Project to log into.
    """
    mode = chosen_mode(None)
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
        log.warning("Weights & Biases does not show the comparison: %s: %s", type(error).__name__, error)


def _log(run: Any, comparison: Comparison, folder: Path) -> None:  # noqa: ANN401  # wandb's own type
    settings = comparison.settings
    run.config.update({"alpha": settings.alpha, "resamples": settings.resamples, "seed": settings.seed})
    run.config.update({"arms": {arm.letter: [one.name for one in arm.runs] for arm in comparison.arms}})
    run.config.update({"parameters": {arm.letter: arm.parameters for arm in comparison.arms}})
    run.config.update({"hours": {arm.letter: arm.hours for arm in comparison.arms}})
    run.config.update({"notes": numbered(comparison)})
    tables = {
        "scores": _table(SUMMARY, summary_rows(comparison)),
        "differences": _table(DIFFERENCES, difference_rows(comparison)),
        "verdicts": _table(
            ("first", "second", "verdict"), [(v.first, v.second, " ".join(v.sentences)) for v in verdicts(comparison)]
        ),
    }
    for key, table in tables.items():
        table.bind_to_run(run, key, 0)  # else it is also an artifact, staged under a full path
    page = wandb.Html((folder / "index.html").read_text(encoding="utf-8"), inject=False)
    run.log({**tables, "figure": wandb.Image(str(folder / "figure.png")), "page": page})
    run.summary["overview"] = overview(comparison)


def _table(columns: Sequence[str], rows: Iterable[Sequence[object]]) -> Any:  # noqa: ANN401
    data = [[None if isinstance(cell, float) and not math.isfinite(cell) else cell for cell in row] for row in rows]
    return wandb.Table(columns=list(columns), data=data, allow_mixed_types=True)
