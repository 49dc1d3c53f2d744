"""What the configuration in a checkpoint, which may come from a stranger, can make this program do: build networks."""

from collections.abc import Sequence
from typing import Any

from hydra.utils import get_class

from segment.errors import UserError

# Modules whose classes a checkpoint may name: their constructors compute and do nothing else. Whole packages would not
# do: monai.networks holds HoVerNet, which downloads any URL, monai.losses holds PerceptualLoss, which downloads code
# and runs it, torchio.transforms holds HistogramStandardization, which reads any file.
TRUSTED = (
    *("segment.preprocess.normalize", "segment.preprocess.resample"),
    *("segment.inference.postprocess", "segment.inference.sliding_window"),
    *("segment.model.losses", "segment.model.combined_loss", "segment.model.module", "segment.model.schedules"),
    "segment.model.vnet",
    *(f"monai.losses.{name}" for name in ("dice", "focal_loss", "tversky", "unified_focal_loss", "hausdorff_loss")),
    *(f"monai.networks.nets.{name}" for name in ("attentionunet", "basic_unet", "basic_unetplusplus", "dynunet")),
    *(f"monai.networks.nets.{name}" for name in ("segresnet", "segresnet_ds", "swin_unetr", "unet", "unetr", "vnet")),
    *("torch.nn.modules", "torch.optim"),
    "torchio.transforms.augmentation.composition",
    *(f"torchio.transforms.preprocessing.intensity.{name}" for name in ("clamp", "mask", "rescale", "z_normalization")),
    *(f"torchio.transforms.preprocessing.spatial.{name}" for name in ("crop", "crop_or_pad", "ensure_shape_multiple")),
    *(f"torchio.transforms.preprocessing.spatial.{name}" for name in ("pad", "to_canonical", "to_orientation")),
)
# Functions, by their full names.
TRUSTED_FUNCTIONS = ("segment.model.combined_loss.class_weights",)


def checked(node: Any, trust: Sequence[str] = ()) -> Any:  # noqa: ANN401
    """A copy of a checkpoint's configuration that is safe to instantiate.

    Args:
        node: Dictionaries, lists and plain values.
        trust: Modules, beside `TRUSTED`, whose classes it may name.

    Raises:
        UserError: When it names anything but a class of a trusted module or a trusted function, refers to what lies
            outside of it (`${...}` could read the environment), or holds other objects.
    """
    if isinstance(node, dict):
        if "_target_" in node:
            _check_target(str(node["_target_"]), (*TRUSTED, *trust))
        return {key: checked(value, trust) for key, value in node.items()}
    if isinstance(node, list | tuple):  # a tuple becomes a list of configurations, too
        return [checked(item, trust) for item in node]
    if isinstance(node, str) and "${" in node:
        msg = f"the checkpoint's configuration holds {node!r}, which is not resolved; do not use this file"
        raise UserError(msg)
    if node is None or isinstance(node, bool | int | float | str):
        return node
    msg = f"the checkpoint's configuration holds a {type(node).__name__}, which is no plain value; do not use this file"
    raise UserError(msg)


def _check_target(target: str, trusted: Sequence[str]) -> None:
    """Refuse a target unless it is a trusted function or a class that is defined in a trusted module.

    The name alone does not tell: `torch.nn.functional.os.system` starts well, too.
    """
    if target in TRUSTED_FUNCTIONS:
        return
    if target.partition(".")[0] in {name.partition(".")[0] for name in trusted}:
        try:
            defined_in = get_class(target).__module__
        except Exception:  # whatever importing it raises
            defined_in = ""
        if any(defined_in == name or defined_in.startswith(name + ".") for name in trusted):
            return
    msg = (
        f"the checkpoint asks to import {target!r}, which is not allowed; if you know what it is and trust it, "
        f"allow its module by trust=[{target.rpartition('.')[0] or target}]"
    )
    raise UserError(msg)
