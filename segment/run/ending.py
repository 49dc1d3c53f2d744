"""How a training ended: why it stopped early, its best epoch, and why the test was skipped."""

import math
from collections.abc import Iterator
from pathlib import Path

import pytorch_lightning as pl
from pytorch_lightning.callbacks import EarlyStopping, Timer

from segment.checkpoint.load import read_checkpoint
from segment.data.splits.split import Split


def shortfalls(trainer: pl.Trainer, steps_before: int) -> Iterator[str]:
    """Sentences that say why a finished training did fewer epochs than configured; none if it did all of them.

    Args:
        trainer: The trainer after `fit`.
        steps_before: Optimizer steps in the checkpoint from which the run resumed.
    """
    epochs, max_epochs = trainer.current_epoch, trainer.max_epochs
    if trainer.global_step == steps_before:
        yield f"nothing was trained: {_why_untrained(trainer, steps_before)}"
    elif max_epochs is None or max_epochs == -1:
        yield f"training ended after {epochs} epochs: {_why_early(trainer)}"
    elif epochs < max_epochs:
        yield f"training ended after {epochs} of {max_epochs} epochs: {_why_early(trainer)}"


def _why_untrained(trainer: pl.Trainer, steps_before: int) -> str:
    if trainer.limit_train_batches == 0:
        return "trainer.limit_train_batches=0"
    if trainer.max_epochs == 0:
        return "trainer.max_epochs=0"
    if steps_before and trainer.current_epoch == trainer.max_epochs:
        return f"all {trainer.max_epochs} epochs are already done; raise trainer.max_epochs to train longer"
    return _why_early(trainer)


def _why_early(trainer: pl.Trainer) -> str:
    callbacks: list[pl.Callback] = trainer.callbacks  # type: ignore[attr-defined]
    for callback in callbacks:
        if isinstance(callback, EarlyStopping) and callback.stopping_reason_message:
            return f"early stopping: {callback.stopping_reason_message.strip()}"
        remaining = callback.time_remaining() if isinstance(callback, Timer) else None
        if remaining is not None and remaining <= 0:
            return "trainer.max_time was reached"
    if trainer.num_training_batches == 0:
        return f"trainer.limit_train_batches={trainer.limit_train_batches} leaves no batch"
    return "a callback stopped it"


def best_epoch(trainer: pl.Trainer) -> str:
    """Sentence with the best epoch and its score, or why there is none.

    Epochs are counted from 0, as in metrics.csv.
    """
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
        return "trainer.limit_val_batches=0 skips every validation"
    if every > trainer.current_epoch:
        return f"trainer.check_val_every_n_epoch={every}, and only {trainer.current_epoch} epochs were trained"
    return f"no epoch has the score {monitor}"


def why_untested(trainer: pl.Trainer, split: Split) -> str | None:
    """Sentence that says why the requested test cannot run; None if it can."""
    if not split.test:
        return "no test: the split has no test cases"
    if not getattr(trainer.checkpoint_callback, "best_model_path", ""):
        return "no test: there is no best checkpoint to test"
    if trainer.limit_test_batches == 0:
        return "no test: trainer.limit_test_batches=0"
    return None
