"""Trainings of `finetune.py` and `ablation.py`: `segment train` in folders of its own, resumed and scored once."""

import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from results import Row, read_rows, score_checkpoint, write_rows

from segment.datasets.cases import Case

QUIET = ["callbacks.progress=null", "+trainer.enable_progress_bar=false", "callbacks.validation.overlay=false"]
QUIET += ["logger=csv", "preflight=false", "test=false"]


def train_and_score(
    folder: Path, overrides: Sequence[str], cases: Mapping[str, Sequence[Case]], names: Row
) -> list[Row]:
    """Train and score the best checkpoint; what an earlier start has done is kept.

    A training that was stopped resumes. CTs that were not scored yet are added to the scores.

    Args:
        folder: Folder of the run and its scores.
        overrides: Overrides of `segment train`.
        cases: CTs to score, by set.
        names: Columns that say what was trained.
    """
    if not (folder / "trained").exists():
        _train(folder / "run", overrides, folder / "train.log")
        (folder / "trained").touch()
    return add_scores(folder / "scores.csv", folder / "run" / "checkpoints" / "best.ckpt", cases, names)


def add_scores(table: Path, checkpoint: str | Path, cases: Mapping[str, Sequence[Case]], names: Row) -> list[Row]:
    """Rows of a checkpoint, from a table as far as it has them; the others are added to it."""
    rows = read_rows(table) if table.exists() else []
    known = {row["case"] for row in rows}
    missing = {name: [case for case in of_set if case.id not in known] for name, of_set in cases.items()}
    if any(missing.values()):
        rows += score_checkpoint(checkpoint, missing, names)
        write_rows(table, rows)
    return rows


def _train(run: Path, overrides: Sequence[str], log: Path) -> None:
    """Run the command; exit if it fails."""
    print(f"training {run.parent.name} …", flush=True)
    call = [sys.executable, "-m", "segment", "train", *overrides, *QUIET]
    if (run / "checkpoints" / "last.ckpt").exists():
        call.append(f"resume={run}")
    else:
        shutil.rmtree(run, ignore_errors=True)  # of a training that was stopped before its first checkpoint
        call.append(f"hydra.run.dir={run}")
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("a", encoding="utf-8") as file:
        done = subprocess.run(call, stdout=file, stderr=subprocess.STDOUT, check=False)
    if done.returncode:
        sys.exit(f"{run.parent.name} failed with exit code {done.returncode}; see {log}")
