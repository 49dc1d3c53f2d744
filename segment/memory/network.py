"""Memory that a network takes, from shapes alone, and the refusal of what does not fit."""

import copy
import math
from collections.abc import Callable, Iterator, Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812

from segment.errors import UserError
from segment.memory import measure, trace
from segment.memory.patch_size import fits
from segment.memory.refuse import check_memory, shortage
from segment.runtime.seeding import random_state

MULTIPLES = (32, 16, 8)  # edges of the patches that are proposed
ROOM = 0.8  # share of the free memory that a proposed size may take
COPIES = 2  # of a patch while a worker augments it, at least
OPTIMIZER = 2  # values that Adam keeps of every weight


def step_bytes(net: nn.Module, batch_size: int, patch_size: Sequence[int], dtype: torch.dtype = torch.float32) -> int:
    """Peak bytes of a training step beside the weights: batch, activations, loss, gradients and Adam's averages.

    The loss is a stand-in, Dice plus cross-entropy: others take about as much.

    Args:
        net: Maps (B,1,I,J,K) to logits (B,C,I,J,K), or to a list of them, the finest first.
        batch_size: Patches in a batch.
        patch_size: Voxels along I, J, K.
        dtype: Of activations: half as wide in mixed precision.

    Returns:
        0 when the network cannot run without values.
    """
    shadow = copy.deepcopy(net).to("meta", dtype).train()
    image = torch.empty(batch_size, 1, *patch_size, device="meta", dtype=dtype)
    averages = OPTIMIZER * sum(4 * weight.numel() for weight in net.parameters())
    batch = 5 * image.numel()  # float32 image and uint8 label

    def run() -> None:
        torch.autograd.backward(_stand_in_loss(shadow(image)))

    return _peak(run, batch + averages)


def pass_bytes(net: nn.Module, batch_size: int, patch_size: Sequence[int]) -> int:
    """Peak bytes of the network's pass over patches without gradients; 0 when it cannot run without values."""
    shadow = copy.deepcopy(net).to("meta").eval()
    image = torch.empty(batch_size, 1, *patch_size, device="meta")

    def run() -> None:
        with torch.no_grad():
            shadow(image)

    return _peak(run, 4 * image.numel())


def activations(precision: str) -> torch.dtype:
    """Type that a trainer's precision gives most activations."""
    if "64" in precision:
        return torch.float64
    return torch.bfloat16 if "16" in precision else torch.float32


def check_weights(net: Callable[..., nn.Module], classes: int) -> None:
    """Refuse a network whose weights, their gradients and Adam's averages do not fit into memory, before it is built.

    Args:
        net: Called with `out_channels`.
        classes: Its value.

    Raises:
        UserError: With the number of weights.
    """
    try:
        with random_state(0), torch.device("meta"):
            weights = sum(weight.numel() for weight in net(out_channels=classes).parameters())
    except (RuntimeError, ValueError, TypeError):  # it needs values, or building it will show what is wrong
        return
    needed = 4 * (2 + OPTIMIZER) * weights
    check_memory(
        needed, f"training a network of {weights:,} weights", "make it narrower, by a smaller model.net.base_channels"
    )


def check_batch(batch_size: int, patch_size: Sequence[int], num_workers: int) -> None:
    """Refuse patches that do not even fit into memory as the loader makes them.

    Raises:
        UserError: With the sizes.
    """
    patch = math.prod(patch_size)
    waiting = 1 + 2 * num_workers  # every worker makes two batches in advance
    needed = 5 * patch * batch_size * waiting + COPIES * 4 * patch * max(1, num_workers)
    what = (
        f"loading patches with data.patch_size={list(patch_size)}, data.batch_size={batch_size} and "
        f"data.num_workers={num_workers}"
    )
    check_memory(needed, what, "lower one of them")


def check_step(
    net: nn.Module,
    batch_size: int,
    patch_size: Sequence[int],
    device: torch.device,
    dtype: torch.dtype = torch.float32,
) -> None:
    """Refuse a training step that does not fit into memory, as `step_bytes` foresees it.

    Raises:
        UserError: With a `data.batch_size` or a `data.patch_size` that fits.
    """
    free = measure.free(device)
    least = 4 * batch_size * math.prod(patch_size)  # the image alone: sizes beyond 2⁶³ cannot be traced
    needed = least if least > free else step_bytes(net, batch_size, patch_size, dtype)
    if needed <= free:
        return
    at_least = "at least " if needed == least else ""
    remedy = "take another network or a larger machine"
    for key, batch, patch in _smaller(net, batch_size, patch_size, ROOM * free / needed):
        if step_bytes(net, batch, patch, dtype) <= ROOM * free:
            remedy = f"{key}={batch if key == 'data.batch_size' else list(patch)} would fit"
            break
    msg = (
        f"a training step with data.patch_size={list(patch_size)} and data.batch_size={batch_size} needs {at_least}"
        f"{shortage(needed, free, device)}; {remedy}"
    )
    raise UserError(msg)


def _smaller(
    net: nn.Module, batch_size: int, patch_size: Sequence[int], share: float
) -> Iterator[tuple[str, int, tuple[int, ...]]]:
    """Keys and their sizes, of a share of the voxels at most and ever smaller, that the network takes."""
    batch = int(batch_size * share)
    while batch >= 1:
        if fits(net, patch_size, batch):
            yield "data.batch_size", batch, tuple(patch_size)
        batch = int(0.8 * batch)
    scale = share ** (1 / 3)
    while scale * max(patch_size) >= min(MULTIPLES):
        for multiple in MULTIPLES:
            patch = tuple(max(multiple, int(scale * n) // multiple * multiple) for n in patch_size)
            if math.prod(patch) <= share * math.prod(patch_size) and fits(net, patch, batch_size):
                yield "data.patch_size", batch_size, patch
                break
        scale *= 0.9


def _stand_in_loss(outputs: Tensor | Sequence[Tensor]) -> Tensor:
    total = torch.zeros((), device="meta")
    for logits in [outputs] if isinstance(outputs, Tensor) else outputs:
        values = logits.float()
        target = torch.zeros(values.shape[0], *values.shape[2:], dtype=torch.long, device="meta")
        total = total + F.cross_entropy(values, target) + (values.softmax(dim=1) * torch.ones_like(values)).sum()
    return total


def _peak(computation: Callable[[], None], beside: int) -> int:
    try:
        return trace.peak(computation) + beside
    except (RuntimeError, ValueError):  # some operation has no form without values: the pre-flight's trial will show
        return 0
