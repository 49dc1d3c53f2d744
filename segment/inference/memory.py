"""Memory of segmenting a whole volume, from its shape alone."""

import math
from collections.abc import Sequence

from torch import nn

from segment.inference.sliding_window import SlidingWindow
from segment.memory import measure
from segment.memory.network import pass_bytes
from segment.memory.refuse import check_memory

FLOAT = 4  # bytes
WIDE = 256  # times its patch, a network's pass takes less


def check_volume(net: nn.Module, inferer: object, size: Sequence[int], classes: int, networks: int = 1) -> None:
    """Refuse a volume whose logits, or the windows for them, do not fit into memory.

    Args:
        net: The network, on its device.
        inferer: What slides it over the volume; of others than `SlidingWindow` nothing is known.
        size: (I,J,K) of the preprocessed volume.
        classes: Of the logits, with background.
        networks: How many are averaged.

    Raises:
        UserError: With the volume's size.
    """
    if not isinstance(inferer, SlidingWindow):
        return
    device = next(net.parameters()).device
    windows = min(inferer.batch_size, inferer.windows(size))
    needed = inferer.sum_bytes(size, classes) + (FLOAT * classes * math.prod(size) if networks > 1 else 0)
    window = FLOAT * windows * math.prod(inferer.patch_size)
    if needed + WIDE * window > measure.free(device):  # else no need to know, and tracing takes a second
        needed += pass_bytes(net, windows, inferer.patch_size) or window
    what = f"segmenting a volume of {'x'.join(map(str, size))} voxels, in patches of {list(inferer.patch_size)},"
    remedy = (
        "check the CT's spacing and extent, take a larger machine, or train with a smaller model.inferer.patch_size"
    )
    check_memory(needed, what, remedy, device)
