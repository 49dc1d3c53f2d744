"""`segment compare`: which of several runs is better, on which organ, by how much, and how sure that is."""

import json
import math
import tempfile
from dataclasses import asdict
from pathlib import Path

from omegaconf import DictConfig, ListConfig
from rich.console import Console

from segment.commands.command import hydra_command
from segment.comparison.arms import gather
from segment.comparison.comparison import Comparison, compare
from segment.comparison.find import find_runs
from segment.comparison.report.figure import draw_comparison
from segment.comparison.report.page import comparison_page
from segment.comparison.report.tables import print_comparison, write_tables
from segment.comparison.report.words import notes, overview, verdicts
from segment.comparison.statistics.contrasts import Settings
from segment.errors import UserError
from segment.files import atomic_write, write_text

BOUNDS = {"dice": (0.0, 1.0), "hd95_mm": (0.0, math.inf), "nsd": (0.0, 1.0)}  # of every metric
LOWER_IS_BETTER = ("hd95_mm",)


def compare_runs(cfg: DictConfig) -> None:
    """Compare runs; print and write tables, a figure and a page.

    Raises:
        UserError: When a run cannot be read, the comparison would not be fair, or the output exists.
    """
    _check(cfg)
    arguments = [str(run) for run in cfg.runs] if isinstance(cfg.runs, ListConfig) else [str(cfg.runs)]
    with tempfile.TemporaryDirectory() as scratch:
        arms, remarks = gather(find_runs(arguments, Path(scratch)))
    settings = Settings(cfg.alpha, cfg.resamples, cfg.seed, LOWER_IS_BETTER, BOUNDS)
    reference = None if cfg.reference is None else str(cfg.reference)
    comparison = compare(arms, list(dict.fromkeys(cfg.metrics)), reference, settings, remarks)
    print_comparison(comparison, Console())
    _write(comparison, Path(cfg.output))
    if cfg.wandb is not None:
        from segment.comparison.report.wandb_report import log_comparison  # wandb takes a second to import

        log_comparison(comparison, Path(cfg.output), str(cfg.wandb))
    print(f"page, figure and tables: {cfg.output}")


def _check(cfg: DictConfig) -> None:
    output = Path(cfg.output)
    if output.exists() and (not output.is_dir() or any(output.iterdir())):
        msg = f"output={output} is not an empty folder; choose another one"
        raise UserError(msg)
    if not cfg.metrics:
        msg = f"metrics=[] names none; name some of {', '.join(BOUNDS)}"
        raise UserError(msg)


def _write(comparison: Comparison, output: Path) -> None:
    """Write the output folder, whole or not at all."""
    figure = draw_comparison(comparison)
    with atomic_write(output) as aside:
        aside.mkdir()
        write_tables(comparison, aside)
        (aside / "figure.png").write_bytes(figure)
        write_text(aside / "index.html", comparison_page(comparison, figure))
        write_text(aside / "comparison.json", json.dumps(_facts(comparison), indent=1, ensure_ascii=False))


def _facts(comparison: Comparison) -> dict[str, object]:
    """What the tables do not say, for programs."""
    return {
        "overview": overview(comparison),
        "verdicts": [asdict(verdict) for verdict in verdicts(comparison)],
        "notes": notes(comparison),
        "remarks": list(comparison.remarks),
        "settings": {name: getattr(comparison.settings, name) for name in ("alpha", "resamples", "seed")},
        "cases": list(comparison.cases),
        "patients": len(comparison.patients),
        "arms": [
            {
                "arm": arm.letter,
                "recipe": arm.label,
                "differs": arm.differs,
                "parameters": arm.parameters,
                "hours": arm.hours,
                "runs": [{"name": run.name, "seed": run.seed, "code": run.code} for run in arm.runs],
            }
            for arm in comparison.arms
        ],
    }


main = hydra_command("compare")(compare_runs)

if __name__ == "__main__":
    main()
