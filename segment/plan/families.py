"""The networks that can be planned: how each expresses depth, widths, strides and kernels."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from segment.errors import UserError
from segment.plan.topology import Topology

# Reasons why the other files of conf/model/net are not planned.
FIXED = {
    "vnet_paper": "it is the network of a paper, which planning would change; plan net=vnet",
    "vnet_seed": "it is the network of the seed recipe, which planning would change; plan net=vnet",
    "vnet_small": "it is a network for tests, which learns little; plan net=vnet",
    "vnet_abdomen": "it is what planning gives for FLARE22 on a GPU with 24 GB; plan net=vnet",
    "vnet_large": "it is a fixed choice among those of net=vnet; plan net=vnet, which chooses depth and widths itself",
}

Keys = dict[str, Any]


def check_net(net: str) -> None:
    """Refuse a network that cannot be planned, before any data are read.

    Raises:
        UserError: With the reason, or with the names of those that can.
    """
    if net in FIXED:
        msg = f"net={net} cannot be planned: {FIXED[net]}"
        raise UserError(msg)
    if net not in FAMILIES:
        msg = f"net={net} cannot be planned; choose one of {', '.join(FAMILIES)}"
        raise UserError(msg)


def keys_of(net: str, topology: Topology, base: int, most: int, deep_supervision: bool) -> Keys:
    """Keys of `model.net` that a plan sets, in the form of this network.

    Args:
        net: Name of a file of conf/model/net that `check_net` accepts.
        topology: Its grids.
        base: Channels of the finest level.
        most: Most channels of a level.
        deep_supervision: Whether logits of several levels are trained, if the network can do that.

    Raises:
        UserError: When this network cannot have these grids, with the reason.
    """
    widths = [min(base * 2**level, most) for level in range(topology.levels)]
    return FAMILIES[net](topology, widths, deep_supervision)


def _vnet(topology: Topology, widths: Sequence[int], deep_supervision: bool) -> Keys:
    return {
        "base_channels": widths[0],
        "max_channels": max(widths),
        "convolutions": [1] + [2] * (topology.levels - 1),
        "strides": _lists(topology.strides),
        "kernel_size": _lists(topology.kernels),
        "stem_stride": list(topology.stem),
        "deep_supervision": deep_supervision,
    }


def _dynunet(topology: Topology, widths: Sequence[int], deep_supervision: bool) -> Keys:
    return {
        "kernel_size": _lists(topology.kernels),
        "strides": [[1, 1, 1], *_lists(topology.strides)],
        "upsample_kernel_size": _lists(topology.strides),
        "filters": list(widths),
    }


def _unet(topology: Topology, widths: Sequence[int], deep_supervision: bool) -> Keys:
    return {"channels": list(widths), "strides": _lists(topology.strides)}


def _segresnet(topology: Topology, widths: Sequence[int], deep_supervision: bool) -> Keys:
    halved = [step for step in topology.strides if step != (2, 2, 2)]
    if halved or topology.levels < 3:
        msg = (
            "net=segresnet cannot be planned for these CTs: it halves all axes together, but slices and pixels need "
            f"different strides here ({_lists(topology.strides)}); plan net=vnet, dynunet or unet"
        )
        raise UserError(msg)
    deeper = topology.levels - 1
    return {"init_filters": widths[0], "blocks_down": [1] + [2] * deeper, "blocks_up": [1] * deeper}


FAMILIES: Mapping[str, Callable[[Topology, Sequence[int], bool], Keys]] = {
    "vnet": _vnet,
    "dynunet": _dynunet,
    "unet": _unet,
    "segresnet": _segresnet,
}
WITH_STEM = ("vnet",)  # networks that can begin on a coarser grid


def _lists(sizes: Sequence[Sequence[int]]) -> list[list[int]]:
    return [list(size) for size in sizes]
