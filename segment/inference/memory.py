"""Estimate the memory for segmenting a whole volume from its shape."""

import math
from collections.abc import Sequence

from torch import nn

from segment.inference.sliding_window import SlidingWindow
from segment.memory import measure
from segment.memory.measure import check_memory
from segment.memory.network import pass_bytes

FLOAT = 4  # bytes
WIDE = 256  # upper limit for the memory of a forward pass, as a multiple of its patches
UNKNOWN = 64  # the same for a network of usual width, for example of 16 channels at full resolution


def check_volume(net: nn.Module, inferer: object, size: Sequence[int], classes: int, networks: int = 1) -> None:
    """Refuse a volume if its logits, and a batch of windows, do not fit into memory.

    Args:
        net: The network, on its device.
        inferer: Runs the network over the volume. Only `SlidingWindow` is checked.
        size: (I,J,K) of the preprocessed volume.
        classes: Number of classes of the logits, including background.
        networks: Number of networks that are averaged.

    Raises:
        UserError: With the size of the volume.
    """
    if not isinstance(inferer, SlidingWindow):
        return
    weight = next(net.parameters(), None)
    device = measure.CPU if weight is None else weight.device
    windows = min(inferer.batch_size, inferer.windows(size))
    needed = inferer.sum_bytes(size, classes)
    if networks > 1:
        needed += FLOAT * classes * math.prod(size)
    window = FLOAT * windows * math.prod(inferer.patch_size)
    if weight is None:  # an exported file, which cannot be traced
        needed += UNKNOWN * window
    elif needed + WIDE * window > measure.free(device):  # otherwise it fits, and tracing would take a second
        needed += pass_bytes(net, windows, inferer.patch_size) or window
    what = f"segmenting a volume of {'x'.join(map(str, size))} voxels, in patches of {list(inferer.patch_size)},"
    remedy = (
        "check the CT's spacing and extent, take a larger machine, or train with a smaller model.inferer.patch_size"
    )
    check_memory(needed, what, remedy, device)
