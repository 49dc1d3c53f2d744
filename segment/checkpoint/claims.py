"""Check what a checkpoint claims to hold before memory is taken for it. It may come from a stranger."""

import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from hydra.utils import instantiate
from torch import Tensor

from segment.errors import UserError
from segment.runtime.seeding import random_state


def check_not_packed(path: Path) -> None:
    """Refuse a file with compressed parts. PyTorch writes none, and a small file could unpack to terabytes.

    Raises:
        UserError: When a part is compressed.
    """
    try:
        with zipfile.ZipFile(path) as file:
            parts = file.infolist()
    except (zipfile.BadZipFile, OSError, NotImplementedError):  # reading the checkpoint reports it
        return
    packed = [part for part in parts if part.compress_type != zipfile.ZIP_STORED]
    if packed:
        size = sum(part.file_size for part in parts)
        msg = (
            f"{path} has compressed parts, which unpack to {size / 1e9:.3g} GB, and no checkpoint of `segment train` "
            "does; do not use this file"
        )
        raise UserError(msg)


def check_weights_held(path: Path, config: Mapping[str, Any], state: Mapping[str, Any]) -> None:
    """Refuse a checkpoint whose network has more weights than it holds, before the network is built.

    Args:
        path: The file.
        config: Its configuration, which has been checked by `check_config`.
        state: Its weights by name.

    Raises:
        UserError: With both numbers.
    """
    net = config["model"].get("net")
    if not isinstance(net, dict) or not net.get("_partial_"):
        return
    try:
        with random_state(0), torch.device("meta"):
            built = instantiate(net, _convert_="all")(out_channels=1 + len(config["organs"]))
            claimed = sum(weight.numel() for weight in built.parameters())
    except Exception:  # no support for the meta device, or an error that building will show
        return
    held = sum(value.numel() for value in state.values() if isinstance(value, Tensor))
    if claimed > held:
        msg = f"{path} describes a network of {claimed:,} weights, but holds {held:,}; do not use this file"
        raise UserError(msg)
