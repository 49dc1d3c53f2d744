"""How a training ended: why before its last epoch, what it left out, and its best epoch."""

import math
from collections.abc import Iterator
from pathlib import Path

import pytorch_lightning as pl
from pytorch_lightning.callbacks import EarlyStopping, Timer

from segment.checkpoint.load import read_checkpoint
from segment.data.splits.split import Split


def shortfalls(trainer: pl.Trainer, steps_before: int) -> Iterator[str]:
    """Why a training that has ended did less than its number of epochs, in sentences; nothing if it did them all.

    Args:
        trainer: After `fit`.
        steps_before: Optimizer steps of the checkpoint that it resumed from.
    """
    epochs, wanted = trainer.current_epoch, trainer.max_epochs
    if trainer.global_step == steps_before:
        yield f"nothing was trained: {_why_untrained(trainer, steps_before)}"
    elif wanted in (None, -1) or epochs < wanted:
        of = "" if wanted in (None, -1) else f" of {wanted}"
        yield f"training ended after {epochs}{of} epochs: {_why_early(trainer)}"


def _why_untrained(trainer: pl.Trainer, steps_before: int) -> str:
    if trainer.limit_train_batches == 0:
        return "trainer.limit_train_batches=0"
    if trainer.max_epochs == 0:
        return "trainer.max_epochs=0"
    if steps_before and trainer.current_epoch == trainer.max_epochs:
        return f"all {trainer.max_epochs} epochs were done before; trainer.max_epochs lengthens the run"
    return _why_early(trainer)


def _why_early(trainer: pl.Trainer) -> str:
    callbacks: list[pl.Callback] = trainer.callbacks  # type: ignore[attr-defined]
    for callback in callbacks:
        if isinstance(callback, EarlyStopping) and callback.stopping_reason_message:
            return f"early stopping: {callback.stopping_reason_message.strip()}"
        remaining = callback.time_remaining() if isinstance(callback, Timer) else None
        if remaining is not None and remaining <= 0:
            return "the time of trainer.max_time is over"
    if trainer.num_training_batches == 0:
        return f"trainer.limit_train_batches={trainer.limit_train_batches} leaves no batch"
    return "a callback has stopped it"


def best_epoch(trainer: pl.Trainer) -> str:
    """Which epoch was the best and its score, or why there is none; epochs are counted from 0, as in metrics.csv."""
    callback = trainer.checkpoint_callback
    path, monitor = getattr(callback, "best_model_path", ""), getattr(callback, "monitor", None)
    if monitor is None:
        return "there is no best epoch: no callback keeps the best checkpoint"
    if not path:
        return f"there is no best epoch: {_why_unscored(trainer, monitor)}"
    score = getattr(callback, "best_model_score", None)
    value = math.nan if score is None else float(score)
    return f"best epoch: {read_checkpoint(Path(path))['epoch']}, {monitor} {value:.4f}"


def _why_unscored(trainer: pl.Trainer, monitor: str) -> str:
    every = trainer.check_val_every_n_epoch or 1
    if trainer.limit_val_batches == 0:
        return "trainer.limit_val_batches=0 leaves out every validation"
    if every > trainer.current_epoch:
        return f"trainer.check_val_every_n_epoch={every}, and only {trainer.current_epoch} epochs were trained"
    return f"no epoch has a score {monitor}"


def why_untested(trainer: pl.Trainer, split: Split) -> str | None:
    """Why the test that was asked for cannot be done; None if it can."""
    if not split.test:
        return "no test: the split holds no test cases"
    if not getattr(trainer.checkpoint_callback, "best_model_path", ""):
        return "no test: there is no best checkpoint to test"
    if trainer.limit_test_batches == 0:
        return "no test: trainer.limit_test_batches=0"
    return None
