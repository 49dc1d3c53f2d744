"""Checkpoint → network, and what else a checkpoint of `segment train` tells."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from hydra.errors import HydraException
from hydra.utils import instantiate

from segment.checkpoint.trust import checked
from segment.errors import UserError
from segment.inference.segmenter import Segmenter
from segment.model.module import SegmentationModule

# What a checkpoint needs to be used without the run that made it.
CHECKPOINT_KEYS = ("organs", "preprocess", "model")
BEST = "checkpoints/best.ckpt"  # a run's best checkpoint, in its folder


@dataclass(frozen=True)
class TrainedModel:
    """A network out of a checkpoint, ready to segment.

    Attributes:
        organs: Class i is organs[i-1].
        module: The module with its weights, in evaluation mode.
        facts: What the checkpoint says of itself: `config`, `trained`, the dotted keys of the recipe and the seed, and
            from training `split` and `voxel_hashes`.
    """

    organs: list[str]
    module: SegmentationModule
    facts: dict[str, Any]

    @property
    def segmenter(self) -> Segmenter:
        """From a CT to its mask."""
        return self.module.segmenter


def load_model(path: str | Path, trust: Sequence[str] = ()) -> TrainedModel:
    """Rebuild a trained network from nothing but its checkpoint.

    A checkpoint cannot run code: it is read with `weights_only=True`, and its configuration may name only classes of
    trusted modules; see `segment.checkpoint.trust`.

    Args:
        path: A checkpoint file written by `segment train`.
        trust: More modules to allow, such as the one that holds your own network.

    Raises:
        UserError: When the file is missing, is not such a checkpoint, or names something else.
    """
    checkpoint = read_checkpoint(Path(path))
    config = checked(checkpoint["segment"]["config"], trust)
    try:
        module = instantiate(config["model"], _convert_="all")
        if not isinstance(module, SegmentationModule):
            msg = f"its model is a {type(module).__name__}"
            raise TypeError(msg)
        module.load_state_dict(checkpoint["state_dict"])
    except (HydraException, RuntimeError, KeyError, TypeError) as error:
        msg = (
            f"{path} cannot be loaded by this version of segment ({_what(error)}); use the version that wrote it, "
            "whose git commit is in environment.json of its run folder, or train again"
        )
        raise UserError(msg) from error
    return TrainedModel(list(config["organs"]), module.eval(), checkpoint["segment"])


def read_checkpoint(path: Path) -> dict[str, Any]:
    """The content of a checkpoint of `segment train`: tensors and plain values, since it is read with weights_only.

    Raises:
        UserError: When there is no such file, it cannot be read, or it is another program's.
    """
    if path.is_dir():
        msg = f"{path} is a folder, not a checkpoint; name the file, e.g. <run folder>/{BEST}"
        raise UserError(msg)
    if not path.is_file():
        msg = f"no such checkpoint: {path}; a run's best one is <run folder>/{BEST}"
        raise UserError(msg)
    try:
        content: Any = torch.load(path, map_location="cpu", weights_only=True)
    except PermissionError as error:
        msg = f"cannot open {path} ({error.strerror}); check your rights to read it"
        raise UserError(msg) from error
    except Exception as error:  # damaged or foreign bytes make torch raise nearly anything
        msg = f"cannot read {path}: {_unread(error)}"
        raise UserError(msg) from error
    facts = content.get("segment") if isinstance(content, dict) else None
    config = facts.get("config") if isinstance(facts, dict) else None
    if not isinstance(config, dict) or "state_dict" not in content:
        msg = f"{path} was not written by `segment train` ({_held(content)}); give a run's own <run folder>/{BEST}"
        raise UserError(msg)
    if missing := {*CHECKPOINT_KEYS} - {*config}:
        msg = f"{path} lacks {', '.join(sorted(missing))} in its configuration; give another checkpoint of that run"
        raise UserError(msg)
    return dict(content)


def steps_of(checkpoint: Path) -> int:
    """Optimizer steps that a checkpoint has behind it."""
    return int(read_checkpoint(checkpoint)["global_step"])


def epochs_done(checkpoint: Path, steps: int) -> float:
    """Epochs that a checkpoint has behind it, the last one possibly in part, where an epoch has so many batches."""
    fit = read_checkpoint(checkpoint)["loops"]["fit_loop"]
    epochs, batches = fit["epoch_progress"]["current"], fit["epoch_loop.batch_progress"]["current"]
    in_epoch = epochs["ready"] > epochs["processed"]
    return float(epochs["processed"] + (batches["completed"] / steps if in_epoch else 0.0))


def seen_by(checkpoint: Path) -> set[str]:
    """Voxel hashes of the CTs that a checkpoint was trained or selected on."""
    return set(read_checkpoint(checkpoint)["segment"]["voxel_hashes"])


def check_epochs(checkpoint: Path, max_epochs: int | None) -> None:
    """Refuse to resume towards fewer epochs than are done.

    Raises:
        UserError: With both numbers.
    """
    done = read_checkpoint(checkpoint)["loops"]["fit_loop"]["epoch_progress"]["current"]["processed"]
    if max_epochs not in (None, -1) and done > max_epochs:
        msg = f"{checkpoint} has {done} epochs behind it, more than trainer.max_epochs={max_epochs}; raise that"
        raise UserError(msg)


def check_resumable(checkpoint: Path, module: SegmentationModule, other_data: bool) -> None:
    """Refuse a checkpoint of other organs, another network or other data.

    Args:
        checkpoint: What training is to resume from.
        module: The module that is to take it up, with its `checkpoint_metadata`.
        other_data: Whether data may have changed.

    Raises:
        UserError: With the first difference.
    """
    before, after = read_checkpoint(checkpoint), module.checkpoint_metadata
    organs, organs_now = before["segment"]["config"]["organs"], after["config"]["organs"]
    if organs != organs_now:
        msg = f"{checkpoint} was trained for {', '.join(organs)}, not for {', '.join(organs_now)}; start a new run"
        raise UserError(msg)
    shapes, wanted = ({k: tuple(v.shape) for k, v in d.items()} for d in (before["state_dict"], module.state_dict()))
    if different := [key for key in sorted(shapes.keys() | wanted.keys()) if shapes.get(key) != wanted.get(key)]:
        key = different[0]
        msg = (
            f"{checkpoint} holds another network: {key} is {shapes.get(key)} there, {wanted.get(key)} here; start a "
            "new run"
        )
        raise UserError(msg)
    # Not equality: after training has gone on with other data, the checkpoint names the CTs of before, too.
    unseen = set(after["voxel_hashes"]) - set(before["segment"]["voxel_hashes"])
    if (unseen or before["segment"]["split"] != after["split"]) and not other_data:
        msg = (
            f"{checkpoint} was trained on other CTs or another split of them; start a new run, or give "
            "allow_changed=[data]"
        )
        raise UserError(msg)


def _what(error: Exception) -> str:
    """What is wrong, out of the first lines of an error: torch's first one alone only names a class."""
    return " ".join(str(error).split())[:150] or type(error).__name__


def _unread(error: Exception) -> str:
    """Why torch does not read a file, and what helps."""
    if "Unsupported" in str(error):  # torch's word for an object that weights_only=True does not let it build
        return (
            "it holds Python objects, which could run code, and no checkpoint of `segment train` does; "
            f"give a run's own <run folder>/{BEST}"
        )
    return "it is no PyTorch file, or damaged or cut off; copy it again, or give another checkpoint"


def _held(content: object) -> str:
    if not isinstance(content, dict):
        return f"it holds one {type(content).__name__}"
    return f"it holds {', '.join(map(str, list(content)[:5])) or 'nothing'}"
