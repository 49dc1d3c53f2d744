"""Checks of a training before its first epoch: whether it fits into memory, and whether it can resume."""

from collections.abc import Sequence
from pathlib import Path

import pytorch_lightning as pl

from segment.checkpoint.load import read_checkpoint
from segment.checkpoint.resumable import check_epochs, check_resumable
from segment.data.datamodule import CTDataModule
from segment.errors import UserError
from segment.memory.network import activations, check_batch, check_step
from segment.memory.patch_size import check_patch_size
from segment.model.module import SegmentationModule
from segment.run.finetune import seen_hashes, warn_trained_on


def check_memory(datamodule: CTDataModule, module: SegmentationModule, trainer: pl.Trainer) -> None:
    """Check that batches, training steps and masks fit into memory, and that the network accepts the patch size.

    Raises:
        UserError: When a size is too large, or the network does not accept it.
    """
    device, dtype = trainer.strategy.root_device, activations(str(trainer.precision))
    check_batch(datamodule.batch_size, datamodule.patch_size, datamodule.num_workers)
    check_patch_size(module.net, datamodule.patch_size, datamodule.batch_size)
    check_step(module.net, datamodule.batch_size, datamodule.patch_size, device, dtype)
    window = getattr(module.inferer, "patch_size", None)
    if window:
        check_patch_size(module.net, window, 1, inference=True)
    if device.type == "cpu":
        for case in (*datamodule.split.val, *datamodule.split.test):
            module.segmenter.check(datamodule.volumes[case.id].image.shape)


def check_monitored(datamodule: CTDataModule, trainer: pl.Trainer) -> None:
    """Check that a validation case shows the organ whose score chooses the best epoch or stops the run.

    The score of an organ that no case shows is not a number if it is not predicted either.

    Raises:
        UserError: When no validation case shows it.
    """
    shown: set[int] = set()
    for case in datamodule.split.val:
        shown.update(datamodule.volumes[case.id].meta["classes"])
    callbacks: list[pl.Callback] = trainer.callbacks  # type: ignore[attr-defined]
    for monitor in sorted({str(callback.monitor) for callback in callbacks if hasattr(callback, "monitor")}):
        for index, organ in enumerate(datamodule.organs, start=1):
            if monitor in (f"val/dice/{organ}", f"val/accuracy/{organ}") and index not in shown:
                msg = (
                    f"monitor={monitor}, but no validation case shows {organ}, so no epoch would have this score; "
                    "choose another monitor, e.g. val/dice/mean, or another split"
                )
                raise UserError(msg)


def check_resumed(
    checkpoint: Path,
    allow_changed: Sequence[str],
    datamodule: CTDataModule,
    module: SegmentationModule,
    max_epochs: int | None,
) -> None:
    """Check that the run can be resumed from a checkpoint, and keep the hashes of all cases it was trained on.

    Args:
        checkpoint: The file to resume from.
        allow_changed: Keys of the configuration that may differ from the earlier process.
        datamodule: The data of the run.
        module: The module of the run; its `checkpoint_metadata` is updated.
        max_epochs: Epochs of the run; None or -1: no limit.

    Raises:
        UserError: When the checkpoint has more epochs, or other organs, another network or other data.
    """
    other_data = any(key.split(".")[0] in ("data", "split") for key in allow_changed)
    check_epochs(checkpoint, max_epochs)
    check_resumable(checkpoint, module, other_data)
    trained_on = read_checkpoint(checkpoint)["segment"]["split"].get("train", [])
    moved = [case.id for case in datamodule.split.val if case.id in trained_on]
    if moved and not datamodule.split.shared:
        warn_trained_on("the run", moved)
    module.checkpoint_metadata["voxel_hashes"] = seen_hashes(checkpoint, str(checkpoint), datamodule)
