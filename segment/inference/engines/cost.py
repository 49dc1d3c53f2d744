"""Whether converting a network takes less time than it saves."""

import copy
import math
from collections.abc import Sequence

import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

# Operations of a window times CTs. Converting takes one to two seconds and a few windows of PyTorch; a CT of an abdomen
# has ten windows and more, of which OpenVINO saves a third to a half. The network of the starter weights has 6.6e9
# operations a window, so three CTs are enough.
WORTH = 18e9


def is_worth_converting(nets: Sequence[nn.Module], patch_size: Sequence[int], cts: int) -> bool:
    """Whether networks are large enough for a number of CTs. The same call always gets the same answer."""
    return cts * sum(operations(net, patch_size) for net in nets) / len(nets) >= WORTH


def operations(net: nn.Module, patch_size: Sequence[int]) -> float:
    """Floating-point operations of a window (1,1,I,J,K); infinite if the network cannot run on the meta device."""
    shadow = copy.deepcopy(net).to("meta").eval()
    try:
        with FlopCounterMode(display=False) as counter, torch.no_grad():
            shadow(torch.empty(1, 1, *patch_size, device="meta"))
    except (RuntimeError, ValueError):
        return math.inf
    return float(counter.get_total_flops())
