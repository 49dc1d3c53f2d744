"""Load the network and the metadata from a checkpoint of `segment train`."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from hydra.utils import instantiate
from torch import nn

from segment.checkpoint.claims import check_not_packed, check_weights_held
from segment.checkpoint.trust import check_config
from segment.configuration.consistency import OUR_MODULE
from segment.configuration.roles import CHECKPOINT_KEYS
from segment.errors import UserError
from segment.inference.segmenter import Segmenter
from segment.model.state_keys import CRITERION, NET

BEST = "checkpoints/best.ckpt"  # a run's best checkpoint, in its folder
# Keys of `model`, the arguments of `SegmentationModule`: those that segmenting needs, and stand-ins for the others.
PARTS = ("net", "preprocess", "inferer", "postprocess")
USED = ("organs", "tolerance_mm", *PARTS)
STAND_INS: dict[str, Any] = {"criterion": {"_target_": "torch.nn.Identity"}, "optimizer": None, "scheduler": None}


@dataclass(frozen=True)
class TrainedModel:
    """A network from a checkpoint, ready to segment.

    Attributes:
        organs: Class i is organs[i-1].
        net: The network with its weights, in evaluation mode.
        segmenter: Maps a CT to its mask.
        tolerance_mm: Tolerance of surface scores per organ.
        metadata: Plain values that the checkpoint holds beside the weights: `config`, `trained` (the seed and the
            dotted keys of the recipe), and from training `split` and `voxel_hashes`.
    """

    organs: list[str]
    net: nn.Module
    segmenter: Segmenter
    tolerance_mm: dict[str, float]
    metadata: dict[str, Any]

    def to(self, device: torch.device) -> None:
        """Move the network to a device."""
        self.net.to(device)


def load_model(path: str | Path, trust: Sequence[str] = ()) -> TrainedModel:
    """Load a trained network from its checkpoint alone.

    Loading never runs code from the checkpoint: it is read with `weights_only=True`, and its configuration may only
    name classes of trusted modules; see `segment.checkpoint.trust`.

    Args:
        path: A checkpoint file written by `segment train`.
        trust: More modules to allow, e.g. the one that defines your own network.

    Raises:
        UserError: When the file is missing, is not such a checkpoint, or names a class that is not trusted.
    """
    checkpoint = read_checkpoint(Path(path))
    config = check_config(without_training(checkpoint["segment"]["config"]), trust)
    try:
        check_weights_held(Path(path), config, checkpoint["state_dict"])
        return _build(config, checkpoint)
    except UserError:
        raise
    except Exception as error:  # constructors may raise anything
        msg = (
            f"{path} cannot be loaded by this version of segment ({_first_words(error)}); use the version that wrote "
            "it, whose git commit is in environment.json of its run folder, or train again"
        )
        raise UserError(msg) from error


def without_training(config: dict[str, Any]) -> dict[str, Any]:
    """The configuration with stand-ins for the parts of training, which then need not be trusted or imported.

    `SegmentationModule` is left out as well, because importing Lightning takes seconds. A class of the user's own is
    kept, because it may segment in another way.
    """
    model = config["model"]
    if not isinstance(model, dict):
        return config
    kept = {key: STAND_INS.get(key, value) for key, value in model.items()}
    if kept.get("_target_") == OUR_MODULE:
        del kept["_target_"]
    return config | {"model": kept}


def _build(config: Mapping[str, Any], checkpoint: Mapping[str, Any]) -> TrainedModel:
    """Build what segments, and give it the weights; raises any error if it cannot."""
    model, organs = config["model"], list(config["organs"])
    weights = {key: value for key, value in checkpoint["state_dict"].items() if not key.startswith(CRITERION)}
    if "_target_" in model:
        from segment.model.module import SegmentationModule

        module = instantiate(model, _convert_="all")
        if not isinstance(module, SegmentationModule):
            msg = f"its model is a {type(module).__name__}"
            raise TypeError(msg)
        module.load_state_dict(weights)
        return TrainedModel(organs, module.eval().net, module.segmenter, module.tolerance_mm, checkpoint["segment"])
    missing, unknown = set(USED) - set(model), set(model) - {*USED, *STAND_INS}
    if missing or unknown:
        msg = f"its model {'lacks' if missing else 'has the unknown option'} {min(missing or unknown)}"
        raise TypeError(msg)
    classes, tolerance_mm = 1 + len(model["organs"]), dict(model["tolerance_mm"])
    without = [organ for organ in organs if organ not in tolerance_mm]
    if without:
        msg = f"tolerance_mm has no value for {', '.join(without)}"
        raise ValueError(msg)
    make_net, transform, inferer, postprocess = (instantiate(model[key], _convert_="all") for key in PARTS)
    net: nn.Module = make_net(out_channels=classes).eval()
    nn.ModuleDict({NET.rstrip("."): net}).load_state_dict(weights)
    segmenter = Segmenter(net, transform, inferer, postprocess, classes)
    return TrainedModel(organs, net, segmenter, tolerance_mm, checkpoint["segment"])


def read_checkpoint(path: Path) -> dict[str, Any]:
    """The content of a checkpoint of `segment train`: tensors and plain values only, because of `weights_only=True`.

    Raises:
        UserError: When the file does not exist, cannot be read, or was written by another program.
    """
    if path.is_dir():
        msg = f"{path} is a folder, not a checkpoint; name the file, e.g. <run folder>/{BEST}"
        raise UserError(msg)
    if not path.is_file():
        msg = f"no such checkpoint: {path}; a run's best one is <run folder>/{BEST}"
        raise UserError(msg)
    check_not_packed(path)
    try:
        content: Any = torch.load(path, map_location="cpu", weights_only=True)
    except PermissionError as error:
        msg = f"cannot open {path} ({error.strerror}); check your rights to read it"
        raise UserError(msg) from error
    except Exception as error:  # for damaged files, torch raises errors of many types
        msg = f"cannot read {path}: {_reason_and_remedy(error)}"
        raise UserError(msg) from error
    metadata = content.get("segment") if isinstance(content, dict) else None
    config = metadata.get("config") if isinstance(metadata, dict) else None
    if not isinstance(config, dict) or "state_dict" not in content:
        msg = f"{path} was not written by `segment train` ({_contents(content)}); give a run's own <run folder>/{BEST}"
        raise UserError(msg)
    missing = {*CHECKPOINT_KEYS} - {*config}
    if missing:
        msg = f"{path} lacks {', '.join(sorted(missing))} in its configuration; give another checkpoint of that run"
        raise UserError(msg)
    return dict(content)


def training_hashes(checkpoint: Path) -> set[str]:
    """Voxel hashes of the CTs in the training and validation set of a checkpoint."""
    return set(read_checkpoint(checkpoint)["segment"]["voxel_hashes"])


def _first_words(error: Exception) -> str:
    """The start of an error's text in one line. The first line alone is not enough: torch's only names a class."""
    return " ".join(str(error).split())[:150] or type(error).__name__


def _reason_and_remedy(error: Exception) -> str:
    """Why torch cannot read a file, and what to do."""
    if "Unsupported" in str(error):  # in torch's message about an object that weights_only=True does not allow
        return (
            "it holds Python objects, which could run code, and no checkpoint of `segment train` does; "
            f"give a run's own <run folder>/{BEST}"
        )
    return "it is not a PyTorch file, or it is damaged or incomplete; copy it again, or give another checkpoint"


def _contents(content: object) -> str:
    if not isinstance(content, dict):
        return f"it holds one {type(content).__name__}"
    return f"it holds {', '.join(map(str, list(content)[:5])) or 'nothing'}"
