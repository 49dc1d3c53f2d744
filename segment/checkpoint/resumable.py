"""How far a checkpoint has come, and whether a run can resume from it."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pytorch_lightning.trainer.states import RunningStage
from torch import Tensor

from segment.checkpoint.load import read_checkpoint
from segment.configuration.values import differing_keys
from segment.errors import UserError
from segment.model.module import SegmentationModule
from segment.model.state_keys import CRITERION


def steps_of(checkpoint: Path) -> int:
    """Number of optimizer steps before a checkpoint."""
    return int(read_checkpoint(checkpoint)["global_step"])


def epochs_done(checkpoint: Path, steps: int) -> float:
    """Number of epochs before a checkpoint, e.g. 2.5 for one in the middle of the third epoch.

    Args:
        checkpoint: The file.
        steps: Number of batches in an epoch.

    Raises:
        UserError: When the checkpoint holds no state of a training.
    """
    fit = _progress(checkpoint)
    epochs, batches = fit["epoch_progress"]["current"], fit["epoch_loop.batch_progress"]["current"]
    in_epoch = epochs["ready"] > epochs["processed"]
    return float(epochs["processed"] + (batches["completed"] / steps if in_epoch else 0.0))


def _progress(checkpoint: Path) -> dict[str, Any]:
    """The state of Lightning's loop over the epochs."""
    loops = read_checkpoint(checkpoint).get("loops")
    if not loops:  # see `segment.checkpoint.compact`
        msg = (
            f"{checkpoint} holds weights alone, without the state of the training, so no run can resume from it; start "
            f"a new run with init_from={checkpoint}"
        )
        raise UserError(msg)
    progress: dict[str, Any] = loops["fit_loop"]
    return progress


def time_trained(checkpoint: Path, timer: str) -> float:
    """Seconds of training that a timer had counted when a checkpoint was saved; 0 if the run had no such timer.

    Args:
        checkpoint: The file.
        timer: `state_key` of the `Timer`.
    """
    state = read_checkpoint(checkpoint).get("callbacks", {}).get(timer, {})
    return float(state.get("time_elapsed", {}).get(RunningStage.TRAINING.value, 0))


def check_epochs(checkpoint: Path, max_epochs: int | None) -> None:
    """Check that a checkpoint does not have more epochs than the run that resumes from it.

    Raises:
        UserError: With both numbers, or when the checkpoint holds no state of a training.
    """
    done = _progress(checkpoint)["epoch_progress"]["current"]["processed"]
    if max_epochs not in (None, -1) and done > max_epochs:
        msg = f"{checkpoint} was saved after {done} epochs, more than trainer.max_epochs={max_epochs}; raise that"
        raise UserError(msg)


def check_resumable(checkpoint: Path, module: SegmentationModule, other_data: bool) -> None:
    """Check that a run can resume from a checkpoint: that organs, network and data are the same.

    Args:
        checkpoint: The file to resume from.
        module: The module of the run, with its `checkpoint_metadata`.
        other_data: Whether the data may have changed.

    Raises:
        UserError: With the first difference.
    """
    content = read_checkpoint(checkpoint)
    before, after = content["segment"], module.checkpoint_metadata
    organs, organs_now = before["config"]["organs"], after["config"]["organs"]
    if organs != organs_now:
        msg = f"{checkpoint} was trained for {', '.join(organs)}, not for {', '.join(organs_now)}; start a new run"
        raise UserError(msg)
    _check_shapes(checkpoint, _shapes(content["state_dict"]), _shapes(module.state_dict()))
    # After a resume with other data, the checkpoint also names the earlier CTs. They may be missing now.
    unseen = set(after["voxel_hashes"]) - set(before["voxel_hashes"])
    if (unseen or before["split"] != after["split"]) and not other_data:
        msg = (
            f"{checkpoint} was trained on other CTs or another split of them; start a new run, or give "
            "allow_changed=[data]"
        )
        raise UserError(msg)


def _shapes(state: Mapping[str, Tensor]) -> dict[str, tuple[int, ...]]:
    """Shapes of the network's tensors. Those of the loss may differ: `allow_changed` may name it."""
    return {name: tuple(value.shape) for name, value in state.items() if not name.startswith(CRITERION)}


def _check_shapes(
    checkpoint: Path, before: Mapping[str, tuple[int, ...]], after: Mapping[str, tuple[int, ...]]
) -> None:
    differing = differing_keys(before, after)
    if differing:
        name = differing[0]
        msg = (
            f"{checkpoint} holds another network: {name} has shape {before.get(name)} in the checkpoint and "
            f"{after.get(name)} in this run; start a new run"
        )
        raise UserError(msg)
