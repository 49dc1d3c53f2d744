"""`segment compare`: show which of several runs is better, on which organs, by how much, and how sure that is."""

import json
import os
import tempfile
from dataclasses import asdict
from pathlib import Path

from omegaconf import DictConfig, ListConfig
from rich.console import Console

from segment.commands.command import hydra_command
from segment.comparison.arms import gather
from segment.comparison.comparison import Comparison, compare
from segment.comparison.find_runs import find_runs
from segment.comparison.report.figure import render_figure
from segment.comparison.report.tables import print_comparison, write_tables
from segment.comparison.report.verdicts import notes, overview, verdicts
from segment.comparison.statistics.contrasts import Settings
from segment.errors import UserError
from segment.files import atomic_write, write_text
from segment.metrics.definitions import METRICS
from segment.view import failsafe
from segment.view.page.comparison import COMPARISON, write_comparison_page
from segment.view.page.document import PAGE


def compare_runs(cfg: DictConfig) -> None:
    """Compare runs: print the tables, and write tables, a figure and a web page.

    Raises:
        UserError: When a run cannot be read, the comparison would not be fair, or the output exists.
    """
    _check(cfg)
    arguments = [str(run) for run in cfg.runs] if isinstance(cfg.runs, ListConfig) else [str(cfg.runs)]
    with tempfile.TemporaryDirectory() as scratch:
        arms, remarks = gather(find_runs(arguments, Path(scratch)))
    reference = None if cfg.reference is None else str(cfg.reference)
    comparison = compare(arms, list(dict.fromkeys(cfg.metrics)), reference, _settings(cfg), remarks)
    print_comparison(comparison, Console())
    _write(comparison, Path(cfg.output))
    if cfg.wandb is not None:
        from segment.comparison.report.wandb_comparison import log_comparison  # importing wandb takes a second

        log_comparison(comparison, Path(cfg.output), str(cfg.wandb))
    print(f"page, figure and tables: {cfg.output}")


def _settings(cfg: DictConfig) -> Settings:
    lower_is_better = tuple(name for name, metric in METRICS.items() if metric.lower_is_better)
    bounds = {name: metric.bounds for name, metric in METRICS.items()}
    return Settings(cfg.alpha, cfg.resamples, cfg.seed, lower_is_better, bounds)


def _check(cfg: DictConfig) -> None:
    output = Path(cfg.output)
    if output.exists() and (not output.is_dir() or any(output.iterdir())):
        msg = f"output={output} is not an empty folder; choose another one"
        raise UserError(msg)
    if not cfg.metrics:
        msg = f"metrics=[] names none; name some of {', '.join(METRICS)}"
        raise UserError(msg)


def _write(comparison: Comparison, output: Path) -> None:
    """Write the output folder atomically."""
    figure = render_figure(comparison)
    with atomic_write(output) as temporary:
        temporary.mkdir()
        write_tables(comparison, temporary)
        (temporary / "figure.png").write_bytes(figure)
        write_text(temporary / COMPARISON, json.dumps(_summary(comparison, output), indent=1, ensure_ascii=False))
        with failsafe.warn_on_error(PAGE):
            write_comparison_page(temporary / PAGE, temporary)


def _summary(comparison: Comparison, output: Path) -> dict[str, object]:
    """Content of comparison.json: what is not in the tables, for other programs."""
    arms = []
    for arm in comparison.arms:
        runs = [
            {
                "name": run.name,
                "folder": _relative(run.folder, output),
                "seed": run.seed,
                "code": run.code,
                "seen": len(run.seen),
            }
            for run in arm.runs
        ]
        arms.append(
            {
                "arm": arm.letter,
                "recipe": arm.label,
                "differs": arm.differs,
                "parameters": arm.parameters,
                "hours": arm.hours,
                "runs": runs,
            }
        )
    return {
        "overview": overview(comparison),
        "verdicts": [asdict(verdict) for verdict in verdicts(comparison)],
        "notes": notes(comparison),
        "remarks": list(comparison.remarks),
        "settings": {name: getattr(comparison.settings, name) for name in ("alpha", "resamples", "seed")},
        "cases": list(comparison.cases),
        "patients": len(comparison.patients),
        "arms": arms,
    }


def _relative(run: Path | None, output: Path) -> str | None:
    """Path of a run from the output folder.

    None if the run has no folder, or one of both is outside the working folder, because the path would then contain
    folders of this machine.
    """
    if run is None:
        return None
    here, folder, target = Path.cwd(), Path(os.path.abspath(run)), Path(os.path.abspath(output))  # noqa: PTH100
    if not (folder.is_relative_to(here) and target.is_relative_to(here)):
        return None
    return Path(os.path.relpath(folder, target)).as_posix()


main = hydra_command("compare")(compare_runs)

if __name__ == "__main__":
    main()
