"""Whether a network can take a patch, known before training starts, for any network."""

import copy
import math
from collections.abc import Sequence
from itertools import product

import torch
from torch import Tensor, nn

from segment.errors import UserError

MULTIPLES = (1, 2, 4, 8, 16, 32, 64)  # networks halve the grid some times


def check_patch_size(net: nn.Module, patch_size: Sequence[int], batch_size: int, *, inference: bool = False) -> None:
    """Refuse a patch size for which the network fails or gives logits of another size.

    The network runs on torch's meta device, which computes shapes and nothing else.

    Args:
        net: Maps (B,1,I,J,K) to logits (B,C,I,J,K), or to a list of them, the finest first.
        patch_size: Voxels along I, J, K.
        batch_size: Patches in a training batch; normalisation may need more than one value per channel.
        inference: Whether these are the patches of `model.inferer`, which the network need not train on.

    Raises:
        UserError: With the next size that the network takes.
    """
    size = tuple(patch_size)
    shadow = copy.deepcopy(net).to("meta").train(not inference)
    problem = _problem(shadow, size, batch_size)
    if problem is None:
        return
    fitting = _next_fitting(shadow, size, batch_size)
    key = "model.inferer.patch_size" if inference else "data.patch_size"
    remedy = f"use {key}={list(fitting)}" if fitting else f"it says: {problem}"
    msg = f"the network cannot take patches of {list(size)} voxels; {remedy}"
    raise UserError(msg)


def fits(net: nn.Module, patch_size: Sequence[int], batch_size: int) -> bool:
    """Whether a network trains on patches of this size."""
    return _problem(copy.deepcopy(net).to("meta").train(), patch_size, batch_size) is None


def _problem(net: nn.Module, size: Sequence[int], batch_size: int) -> str | None:
    """Why the network cannot take this size; None if it can."""
    try:
        output = net(torch.empty(batch_size, 1, *size, device="meta"))
    except (RuntimeError, ValueError) as error:
        return str(error).splitlines()[0]
    logits = output if isinstance(output, Tensor) else output[0]
    if tuple(logits.shape[2:]) != tuple(size):
        return f"it answers with {list(logits.shape[2:])}"
    return None


def _next_fitting(net: nn.Module, size: Sequence[int], batch_size: int) -> tuple[int, ...] | None:
    """The smallest size that fits among those with every edge rounded up alike."""
    # A bottleneck of a single voxel is the other way to fail: then an edge has to be of some length, too.
    candidates = {
        tuple(max(-(-n // multiple) * multiple, least) for n in size)
        for multiple, least in product(MULTIPLES, (1, 16, 32, 64, 128))
    }
    for candidate in sorted(candidates, key=lambda c: (math.prod(c), c)):
        if _problem(net, candidate, batch_size) is None:
            return candidate
    return None
