"""Check the configuration in a checkpoint before it is instantiated.

A checkpoint may come from a stranger. Its configuration may build networks, transforms, sliding windows and steps of
post-processing, and nothing else. The parts of training are not built; see `segment.checkpoint.load`.
"""

from collections.abc import Sequence
from typing import Any

from hydra.utils import get_class

from segment.errors import UserError

# A checkpoint may name classes of these modules. Their constructors only compute. Whole packages are not safe:
# monai.networks has HoVerNet, which downloads any URL, and torchio.transforms has HistogramStandardization, which reads
# any file.
TRUSTED = (
    *("segment.preprocess.normalize", "segment.preprocess.resample"),
    *("segment.inference.postprocess", "segment.inference.sliding_window"),
    "segment.model.vnet",
    *(f"monai.networks.nets.{name}" for name in ("attentionunet", "basic_unet", "basic_unetplusplus", "dynunet")),
    *(f"monai.networks.nets.{name}" for name in ("segresnet", "segresnet_ds", "swin_unetr", "unet", "unetr", "vnet")),
    "torch.nn.modules",
    "torchio.transforms.augmentation.composition",
    *(f"torchio.transforms.preprocessing.intensity.{name}" for name in ("clamp", "mask", "rescale", "z_normalization")),
    *(f"torchio.transforms.preprocessing.spatial.{name}" for name in ("crop", "crop_or_pad", "ensure_shape_multiple")),
    *(f"torchio.transforms.preprocessing.spatial.{name}" for name in ("pad", "to_canonical", "to_orientation")),
)


def check_config(node: Any, trust: Sequence[str] = ()) -> Any:  # noqa: ANN401
    """Check a checkpoint's configuration; returns a copy that is safe to instantiate.

    Args:
        node: Dictionaries, lists and plain values.
        trust: Modules in addition to `TRUSTED`. The configuration may name their classes.

    Raises:
        UserError: When the configuration names anything except a class of a trusted module, has an interpolation
            (`${...}` could read the environment), or holds other objects.
    """
    if isinstance(node, dict):
        if "_target_" in node:
            _check_target(str(node["_target_"]), (*TRUSTED, *trust))
        return {key: check_config(value, trust) for key, value in node.items()}
    if isinstance(node, list | tuple):  # OmegaConf turns a tuple into a list, too
        return [check_config(item, trust) for item in node]
    if isinstance(node, str) and "${" in node:
        msg = f"the checkpoint's configuration holds {node!r}, which is not resolved; do not use this file"
        raise UserError(msg)
    if node is None or isinstance(node, bool | int | float | str):
        return node
    kind = type(node).__name__
    msg = f"the checkpoint's configuration holds a {kind}, which is not a plain value; do not use this file"
    raise UserError(msg)


def _check_target(target: str, trusted: Sequence[str]) -> None:
    """Refuse a target unless it is a class that is defined in a trusted module.

    The module that defines the class decides, not the prefix of the name. For example, the prefix of
    `torch.nn.functional.os.system` is that of a trusted module.
    """
    if target.partition(".")[0] in {name.partition(".")[0] for name in trusted}:
        try:
            defined_in = get_class(target).__module__
        except Exception:  # importing may raise anything
            defined_in = ""
        if any(defined_in == name or defined_in.startswith(name + ".") for name in trusted):
            return
    if target.startswith("segment."):  # trust= would not help
        msg = (
            f"the checkpoint asks to import {target!r}, which is not allowed: this version of segment has no such "
            "class for checkpoints; use the version that wrote it, or train again"
        )
        raise UserError(msg)
    msg = (
        f"the checkpoint asks to import {target!r}, which is not allowed; if you know what it is and trust it, "
        f"allow its module by trust=[{target.rpartition('.')[0] or target}]"
    )
    raise UserError(msg)
