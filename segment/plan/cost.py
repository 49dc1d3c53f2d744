"""Memory and operations of a training step, from shapes alone."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from segment.memory.network import step_bytes
from segment.memory.onednn import LOADED
from segment.plan.machine import Machine

MakeNet = Callable[[dict[str, Any]], nn.Module]  # from the keys of `model.net`


@dataclass(frozen=True)
class Cost:
    """Cost of a training step.

    Attributes:
        needed: Bytes in use, weights included; infinite if the network cannot be traced, NaN if it was not tried.
        operations: Floating-point operations of the forward and the backward pass.
        weights: Number of weights.
    """

    needed: float
    operations: float
    weights: int


def step_cost(net: nn.Module, batch: int, patch: Sequence[int], machine: Machine, most_operations: float) -> Cost:
    """Cost of a step on a machine: float32 on a CPU, mixed precision on a GPU.

    Args:
        net: The network on the meta device.
        batch: Patches in a batch.
        patch: Voxels along R, A, S.
        machine: The machine.
        most_operations: With more operations the step is of no use, and its memory is not traced: `needed` is NaN.
    """
    weights = sum(weight.numel() for weight in net.parameters())
    operations = batch * _operations(net, patch)
    needed = math.nan if operations > most_operations else _memory(net, batch, patch, machine, weights)
    return Cost(needed, operations, weights)


def _memory(net: nn.Module, batch: int, patch: Sequence[int], machine: Machine, weights: int) -> float:
    on_gpu = machine.gpu_gb is not None
    # Float32 weights. On a GPU also their copies in half precision, which autocast keeps during a step, and the second
    # half of the float32 gradients, which are traced in half precision.
    constant = 8 * weights if on_gpu else 4 * weights + LOADED
    traced = step_bytes(net, batch, patch, torch.bfloat16 if on_gpu else torch.float32, on_gpu)
    return traced + constant if traced else math.inf


def _operations(net: nn.Module, patch: Sequence[int]) -> float:
    """Operations of a forward and a backward pass of one patch."""
    with FlopCounterMode(display=False) as counter:
        outputs = net.train()(torch.empty(1, 1, *patch, device="meta"))
        levels = [outputs] if isinstance(outputs, Tensor) else list(outputs)
        torch.autograd.backward([level.sum() for level in levels])
    return float(counter.get_total_flops())
