"""Check whether a network accepts a patch size, before training starts. Works for any network."""

import copy
import math
from collections.abc import Sequence
from itertools import product

import torch
from torch import Tensor, nn

from segment.errors import UserError

MULTIPLES = (1, 2, 4, 8, 16, 32, 64)  # networks halve the grid a few times
LEAST = (1, 16, 32, 64, 128)  # shortest edges to try


def check_patch_size(net: nn.Module, patch_size: Sequence[int], batch_size: int, *, inference: bool = False) -> None:
    """Refuse a patch size for which the network fails or returns logits of another size.

    The network runs on torch's meta device, which computes shapes only.

    Args:
        net: Maps (B,1,I,J,K) to logits (B,C,I,J,K), or to a list of them, the finest first.
        patch_size: Voxels along I, J, K.
        batch_size: Patches in a training batch. It matters because normalisation may need more than one value per
            channel.
        inference: Check the patch size of `model.inferer`: the network then runs in evaluation mode.

    Raises:
        UserError: With the next larger size that the network accepts.
    """
    size = tuple(patch_size)
    shadow = copy.deepcopy(net).to("meta").train(not inference)
    problem = _problem(shadow, size, batch_size)
    if problem is None:
        return
    fitting = _next_fitting(shadow, size, batch_size)
    key = "model.inferer.patch_size" if inference else "data.patch_size"
    remedy = f"use {key}={list(fitting)}" if fitting else f"the reason is: {problem}"
    msg = f"the network cannot take patches of {list(size)} voxels; {remedy}"
    raise UserError(msg)


def fits(net: nn.Module, patch_size: Sequence[int], batch_size: int) -> bool:
    """Whether a network can train on patches of this size."""
    return _problem(copy.deepcopy(net).to("meta").train(), patch_size, batch_size) is None


def _problem(net: nn.Module, size: Sequence[int], batch_size: int) -> str | None:
    """Why the network does not accept this size; None if it does."""
    try:
        output = net(torch.empty(batch_size, 1, *size, device="meta"))
    except (RuntimeError, ValueError) as error:
        return str(error).splitlines()[0]
    logits = output if isinstance(output, Tensor) else output[0]
    if tuple(logits.shape[2:]) != tuple(size):
        return f"its logits have the size {list(logits.shape[2:])}"
    return None


def _next_fitting(net: nn.Module, size: Sequence[int], batch_size: int) -> tuple[int, ...] | None:
    """The smallest accepted size, with every edge rounded up to the same multiple; None if none is accepted."""
    # A network also fails if its bottleneck is a single voxel. So we try longer edges, too.
    candidates = set()
    for multiple, least in product(MULTIPLES, LEAST):
        candidates.add(tuple(max(math.ceil(n / multiple) * multiple, least) for n in size))
    for candidate in sorted(candidates, key=lambda edges: (math.prod(edges), edges)):
        if _problem(net, candidate, batch_size) is None:
            return candidate
    return None
