"""Ours in `race.py`: `segment train` with a callback that ends it in time, and the segmenter of its checkpoints."""

import shutil
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pytorch_lightning as pl
from race_job import Clock, Job, cosine, read_job

from segment.checkpoint.load_ensemble import load
from segment.io.read import read_ct
from segment.phantom.write import save_nifti

RECIPES = {"segment": ["experiment=quick"], "segment from starter": ["experiment=finetune", "init_from=starter"]}
ENDLESS = 100_000  # epochs; the clock ends the training
# The learning rate follows the clock, so there is no scheduler. No contender validates within its time.
FIXED = ["scheduler=none", f"trainer.max_epochs={ENDLESS}", f"trainer.check_val_every_n_epoch={ENDLESS}"]
FIXED += ["callbacks.early_stopping=null", "callbacks.progress=null", "+trainer.enable_progress_bar=false"]
FIXED += ["test=false", "preflight=false", "logger=csv"]


class Deadline(pl.Callback):
    """Set the learning rate by the clock, save the weights at the marks, and end the training after the last.

    Args:
        job: File of the job.
        warmup: Share of the time in which the learning rate rises.
    """

    def __init__(self, job: str, warmup: float = 0.0) -> None:
        self.clock = Clock(read_job(job))
        self.warmup = warmup
        self.first: float | None = None

    def on_train_batch_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule, batch: Any, _: int) -> None:
        groups = trainer.optimizers[0].param_groups
        if self.first is None:
            self.first = groups[0]["lr"]
        for group in groups:
            group["lr"] = cosine(self.first, self.clock.share(), self.warmup)

    def on_train_batch_end(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        if self.clock.save_if_due(trainer.global_step, trainer.save_checkpoint):
            trainer.should_stop = True


def overrides(job: Job) -> list[str]:
    """Overrides of `segment train` for a job; those of the user come last."""
    mm, edge = [job.spacing_mm] * 3, [job.patch] * 3
    same = [f"spacing_mm={mm}", f"data.patch_size={edge}", f"data.num_workers={job.threads}", f"seed={job.seed}"]
    data = ["data=nnunet", f"data.sources.nnunet.root={job.data}", "split=nnunet"]
    data += [f"split.path={job.data / 'splits_final.json'}", f"cache_dir={job.folder / 'cache'}"]
    deadline = ["+callbacks.deadline._target_=race_ours.Deadline", f"+callbacks.deadline.job={job.file}"]
    run = [f"hydra.run.dir={job.folder / 'run'}"]
    return [*RECIPES[job.contender], *same, *data, *FIXED, *deadline, *run, *job.options]


def command(job: Job) -> list[str]:
    """The command that trains, as a user would give it."""
    shutil.rmtree(job.folder / "run", ignore_errors=True)  # of a training that did not reach its last mark
    return [sys.executable, "-m", "segment", "train", *overrides(job)]


def predict(job: Job, checkpoint: Path, cts: Mapping[str, Path], output: Path) -> None:
    """Write a mask for every CT that has none yet."""
    segmenter = load(str(checkpoint)).segmenter
    for name, path in cts.items():
        target = output / f"{name}.nii.gz"
        if not target.exists():
            scan = read_ct(path)
            save_nifti(target, segmenter(scan).astype(np.uint8), nib.load(path).affine)
