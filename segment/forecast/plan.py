"""Count the epochs, steps and cases that a run has left to do."""

import math
from collections.abc import Mapping, Sequence
from pathlib import Path

from omegaconf import DictConfig
from pytorch_lightning.callbacks import Timer

from segment import build
from segment.checkpoint.resumable import epochs_done, time_trained
from segment.data.patches import EpochSampler
from segment.datasets.cases import Case
from segment.forecast.forecast import Cases, Plan

Sizes = Mapping[str, tuple[int, int]]  # voxels and windows by case id


def make_plan(cfg: DictConfig, parts: build.Parts, sizes: Sizes, checkpoint: Path | None) -> Plan:
    """Count the epochs, steps and cases that this process has to do."""
    datamodule, trainer = parts.datamodule, parts.trainer
    split, world_size = datamodule.split, trainer.world_size
    patches = datamodule.patches_per_epoch or len(split.train)
    batches = len(EpochSampler(0, patches, datamodule.batch_size, 0, world_size)) // datamodule.batch_size
    steps = _limited(batches, trainer.limit_train_batches)
    epochs = math.inf if trainer.max_epochs in (None, -1) else float(trainer.max_epochs)
    limits = []
    for callback in trainer.callbacks:  # type: ignore[attr-defined]
        remaining = callback.time_remaining() if isinstance(callback, Timer) else None
        if remaining is not None:
            used_s = 0.0 if checkpoint is None else time_trained(checkpoint, callback.state_key)
            limits.append(max(0.0, remaining - used_s))
    return Plan(
        patches=steps * datamodule.batch_size * world_size,
        steps=steps,
        epochs_done=0.0 if checkpoint is None else epochs_done(checkpoint, steps),
        epochs=epochs,
        validate_every=trainer.check_val_every_n_epoch or 1,
        validation=_own_share(split.val, split.val, sizes, world_size, trainer.limit_val_batches),
        test=_own_share(split.test, split.val, sizes, world_size, trainer.limit_test_batches) if cfg.test else None,
        fit_s=min(limits, default=math.inf),
        at_most=bool(trainer.early_stopping_callbacks),
    )


def _own_share(cases: Sequence[Case], val: Sequence[Case], sizes: Sizes, world_size: int, limit: float) -> Cases | None:
    """Size of this process's share of the cases; None if it has no case.

    Args:
        cases: All validation cases, or all test cases.
        val: All validation cases.
        sizes: Voxels and windows by case id.
        world_size: Number of processes.
        limit: `limit_val_batches` or `limit_test_batches`.
    """
    share = cases[::world_size] if len(cases) >= world_size else cases
    share = share[: _limited(len(share), limit)]
    if not share:
        return None
    voxels = sum(sizes[case.id][0] for case in share)
    windows = sum(sizes[case.id][1] for case in share)
    trial_voxels, trial_windows = sizes[largest(cases, sizes).id]
    _, val_windows = sizes[largest(val, sizes).id]
    return Cases(windows / trial_windows, voxels / trial_voxels, trial_windows / val_windows)


def largest(cases: Sequence[Case], sizes: Sizes) -> Case:
    """The case with the most voxels; if several have as many, the one among them with the most windows."""
    return max(cases, key=lambda case: sizes[case.id])


def _limited(count: int, limit: float) -> int:
    """Number of batches after Lightning's `limit`: an int is a number of batches, a float a share of `count`."""
    return min(count, limit) if isinstance(limit, int) else int(count * limit)
