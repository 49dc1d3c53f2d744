"""Which page belongs to a folder, and the page that a command writes at its end."""

import logging
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from hydra.core.global_hydra import GlobalHydra

from segment.configuration.composition import compose_config, initialized_hydra
from segment.configuration.values import portable
from segment.view import failsafe
from segment.view.curves import write_curves
from segment.view.page.comparison import COMPARISON, write_comparison_page
from segment.view.page.curve import CURVE, write_curve_page
from segment.view.page.data_set import FINDINGS, write_data_set_page
from segment.view.page.document import PAGE, is_page
from segment.view.page.grid_folder import MULTIRUN
from segment.view.page.rank import RANK, write_rank_page
from segment.view.page.run import write_run_page
from segment.view.page.run_folder import VALIDATION, read_config
from segment.view.page.sweep import write_sweep_page
from segment.view.page.sweep_folder import SEARCH, TRIALS

log = logging.getLogger(__name__)

Write = Callable[[Path, Path], None]  # writes the page (first) of a folder (second)


def write_page_of_run(page: Path, folder: Path) -> None:
    """Write the page of a run folder of train or evaluate."""
    write_run_page(page, folder, _default(read_config(folder)))


# Files that show what a folder is, and the function that writes its page. The first match counts, because searches and
# inspections have a config.yaml, too.
_KINDS: Mapping[tuple[str, ...], Write] = {
    (COMPARISON,): write_comparison_page,
    (CURVE,): write_curve_page,
    (f"{RANK}.json",): write_rank_page,
    (TRIALS, SEARCH, MULTIRUN): write_sweep_page,
    (FINDINGS,): write_data_set_page,
    ("config.yaml", "metrics.csv", "cases.csv", str(VALIDATION)): write_page_of_run,
}


def page_of(folder: Path) -> Write | None:
    """The function that writes the page of a folder; None if no command wrote the folder."""
    for names, write in _KINDS.items():
        if any((folder / name).exists() for name in names):
            return write
    return None


def page_at_end(wanted: bool, folder: Path, write: Write) -> None:
    """Write `index.html` into the folder of a command that ends, and print where it is.

    Args:
        wanted: Whether to write it; the option `page`. If not, the page of an earlier call is removed.
        folder: The folder.
        write: Writes the page.
    """
    if not wanted:
        remove_page(folder)
    elif write_safely(folder, write):
        print(f"page: {folder / PAGE}")


def write_safely(folder: Path, write: Write) -> bool:
    """Write `index.html` into a folder, and return whether it was written.

    An error is logged as a warning, because the folder holds all results. A file of this name that is not a page of
    this package stays.
    """
    page = folder / PAGE
    with failsafe.warn_on_error(PAGE):
        if page.exists() and not is_page(page):
            log.warning("%s was not made by segment and stays; segment view %s output=… writes another", page, folder)
            return False
        write(page, folder)
        return True
    return False


def remove_page(folder: Path) -> None:
    """Remove the page of an earlier call, which would show other results than the folder."""
    page = folder / PAGE
    if page.is_file() and is_page(page):
        page.unlink()


def run_page_at_end(wanted: bool, folder: Path) -> None:
    """Write `curves.png`, if something was logged, and the page of a run."""
    if wanted:
        with failsafe.warn_on_error("curves.png"):
            write_curves(folder / "curves.png", folder)
    page_at_end(wanted, folder, write_page_of_run)


def _default(config: Mapping[str, Any]) -> dict[str, Any]:
    """The configuration of the run's command without overrides."""
    command, needed = ("evaluate", ["ckpt=null"]) if "ckpt" in config else ("train", [])
    overrides = ["run_dir=.", *needed]
    if GlobalHydra.instance().is_initialized():
        return portable(compose_config(command, overrides))
    with initialized_hydra(None):  # called from Python
        return portable(compose_config(command, overrides))
