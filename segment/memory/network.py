"""Memory that a network needs, computed from shapes alone, and the refusal of settings that do not fit."""

import copy
import math
from collections.abc import Callable, Iterator, Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812

from segment.errors import UserError
from segment.memory import measure, trace
from segment.memory.measure import check_memory, shortage
from segment.memory.patch_size import fits
from segment.runtime.seeding import random_state

MULTIPLES = (32, 16, 8)  # edges of proposed patches are multiples of these
ROOM = 0.8  # share of the free memory that a proposed size may use
COPIES = 2  # of a patch while a worker augments it, at least
OPTIMIZER = 2  # values that Adam keeps for each weight


def step_bytes(
    net: nn.Module,
    batch_size: int,
    patch_size: Sequence[int],
    dtype: torch.dtype = torch.float32,
    on_gpu: bool = False,
) -> int:
    """Peak bytes of a training step besides the weights: batch, activations, loss, gradients and Adam's averages.

    The loss is a stand-in, Dice plus cross-entropy. Other losses need about as much. On a CPU, these are the bytes in
    use; the process holds more, because its heap has gaps (`benchmarks/memory.py`). On a GPU, they are what PyTorch's
    allocator reserves, without the workspace of cuDNN.

    Args:
        net: Maps (B,1,I,J,K) to logits (B,C,I,J,K), or to a list of them, the finest first.
        batch_size: Patches in a batch.
        patch_size: Voxels along I, J, K.
        dtype: Type of the activations; in mixed precision they take half the memory.
        on_gpu: Whether the step runs on a GPU.

    Returns:
        0 when the network cannot run on the meta device.
    """
    shadow = copy.deepcopy(net).to("meta", dtype).train()
    image = torch.empty(batch_size, 1, *patch_size, device="meta", dtype=dtype)
    averages = OPTIMIZER * sum(4 * weight.numel() for weight in net.parameters())
    batch = 5 * image.numel()  # float32 image and uint8 label

    def run() -> None:
        torch.autograd.backward(_stand_in_loss(shadow(image)))

    return _peak(run, batch + averages, on_gpu)


def pass_bytes(net: nn.Module, batch_size: int, patch_size: Sequence[int]) -> int:
    """Peak bytes of a forward pass without gradients; 0 when the network cannot run on the meta device."""
    shadow = copy.deepcopy(net).to("meta").eval()
    image = torch.empty(batch_size, 1, *patch_size, device="meta")

    def run() -> None:
        with torch.no_grad():
            shadow(image)

    return _peak(run, 4 * image.numel())


def activations(precision: str) -> torch.dtype:
    """The type that most activations have at a trainer's precision, for example bfloat16 at `16-mixed`."""
    if "64" in precision:
        return torch.float64
    return torch.bfloat16 if "16" in precision else torch.float32


def check_weights(net: Callable[..., nn.Module], classes: int) -> None:
    """Refuse a network whose weights, gradients and Adam's averages do not fit into memory, before it is built.

    Args:
        net: Builds the network; called with `out_channels`.
        classes: Value of `out_channels`.

    Raises:
        UserError: With the number of weights.
    """
    try:
        with random_state(0), torch.device("meta"):
            weights = sum(weight.numel() for weight in net(out_channels=classes).parameters())
    except (RuntimeError, ValueError, TypeError):  # no support for the meta device, or an error that building will show
        return
    needed = 4 * (2 + OPTIMIZER) * weights
    check_memory(
        needed, f"training a network of {weights:,} weights", "make it narrower with a smaller model.net.base_channels"
    )


def check_batch(batch_size: int, patch_size: Sequence[int], num_workers: int) -> None:
    """Refuse patches that do not fit into memory while the loader makes them.

    Raises:
        UserError: With the sizes.
    """
    patch = math.prod(patch_size)
    waiting = 1 + 2 * num_workers  # every worker prepares two batches in advance
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
    """Refuse a training step that does not fit into memory according to `step_bytes`.

    Raises:
        UserError: With a `data.batch_size` or a `data.patch_size` that fits.
    """
    free = measure.free(device)
    image = 4 * batch_size * math.prod(patch_size)  # sizes beyond 2⁶³ cannot be traced, so check the image first
    on_gpu = device.type == "cuda"
    needed = image if image > free else step_bytes(net, batch_size, patch_size, dtype, on_gpu)
    if needed <= free:
        return
    at_least = "at least " if needed == image else ""
    remedy = "use another network or a larger machine"
    for key, batch, patch in _smaller(net, batch_size, patch_size, ROOM * free / needed):
        if step_bytes(net, batch, patch, dtype, on_gpu) <= ROOM * free:
            value = batch if key == "data.batch_size" else list(patch)
            remedy = f"{key}={value} would fit"
            break
    msg = (
        f"a training step with data.patch_size={list(patch_size)} and data.batch_size={batch_size} needs {at_least}"
        f"{shortage(needed, free, device)}; {remedy}"
    )
    raise UserError(msg)


def _smaller(
    net: nn.Module, batch_size: int, patch_size: Sequence[int], share: float
) -> Iterator[tuple[str, int, tuple[int, ...]]]:
    """Yield option, batch size and patch size of smaller steps that the network accepts.

    Smaller batches come first, then smaller patches. Each has at most `share` of the voxels and fewer than the one
    before.
    """
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
    """Dice plus cross-entropy of logits on the meta device, or their sum over deep supervision."""
    total = torch.zeros((), device="meta")
    for logits in [outputs] if isinstance(outputs, Tensor) else outputs:
        values = logits.float()
        target = torch.zeros(values.shape[0], *values.shape[2:], dtype=torch.long, device="meta")
        total = total + F.cross_entropy(values, target) + (values.softmax(dim=1) * torch.ones_like(values)).sum()
    return total


def _peak(computation: Callable[[], None], constant: int, on_gpu: bool = False) -> int:
    """Traced peak of a computation plus a constant number of bytes; 0 if it cannot be traced."""
    measure_peak = trace.reserved if on_gpu else trace.peak
    try:
        return measure_peak(computation) + constant
    except (RuntimeError, ValueError):  # an operation needs values; the trial of the pre-flight measures the memory
        return 0
