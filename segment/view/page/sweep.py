"""The page of a sweep: its trials as a table and as charts, with links to the pages of their runs."""

import shlex
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from segment.view.page.document import PAGE, link_below, write_page
from segment.view.page.grid_folder import MULTIRUN, read_grid
from segment.view.page.sweep_folder import Sweep, Trial, read_sweep


def write_sweep_page(path: Path, folder: Path) -> None:
    """Write the page of a search or of a grid.

    Args:
        path: The page.
        folder: The folder of the sweep.

    Raises:
        UserError: When a file of the folder is damaged.
    """
    sweep = read_grid(folder) if (folder / MULTIRUN).exists() else read_sweep(folder)
    title = f"Sweep {folder.resolve().name}"
    data = {
        "kind": "sweep",
        "title": title,
        "subtitle": _subtitle(sweep),
        "notes": list(sweep.notes),
        "what": sweep.what,
        "metric": sweep.metric,
        "higher": sweep.higher,
        "parameters": _parameters(sweep),
        "trials": [_trial(trial, path, folder) for trial in sweep.trials],
        "importance": [list(pair) for pair in sweep.importance],
        "command": shlex.join(["segment", "train", *sweep.best]) if sweep.best else "",
    }
    write_page(path, title, data, {})


def _subtitle(sweep: Sweep) -> str:
    """How many trials there are, and how they ended."""
    states = Counter(trial.state for trial in sweep.trials)
    counts = ", ".join(f"{count} {_STATES.get(state, state)}" for state, count in states.items())
    number = len(sweep.trials)
    which = "higher" if sweep.higher else "lower"
    return f"{number} {sweep.what}{'s' * (number != 1)}: {counts or 'none yet'}; {sweep.metric}, {which} is better"


_STATES = {"complete": "finished", "fail": "failed", "pruned": "stopped early"}


def _parameters(sweep: Sweep) -> list[dict[str, Any]]:
    names: Sequence[str] = list(sweep.trials[0].params) if sweep.trials else []
    return [{"name": name, "log": name in sweep.logarithmic} for name in names]


def _trial(trial: Trial, page: Path, folder: Path) -> dict[str, Any]:
    return {
        "number": trial.number,
        "state": _STATES.get(trial.state, trial.state),
        "value": trial.value,
        "params": list(trial.params.values()),
        "why": trial.why,
        "facts": dict(trial.facts),
        "pages": _pages(trial, page, folder),
    }


def _pages(trial: Trial, page: Path, folder: Path) -> list[dict[str, str]]:
    """Links to the pages of a trial's runs, if they lie below the page of the sweep."""
    links = []
    for run in trial.runs:
        link = link_below(page, folder / run / PAGE)
        if link is not None:
            links.append({"name": run.name, "path": link})
    return links
