"""Look for the organs at half the resolution."""

from collections.abc import Callable, Sequence

from torch import Tensor
from torch.nn import functional as F  # noqa: N812

from segment.inference.best_class import best_class
from segment.inference.region import foreground_box
from segment.inference.sliding_window import SlidingWindow
from segment.preprocess.separable import linear

FACTOR = 2  # edge length of a coarse voxel in fine ones
# Above this probability an organ is taken to be possible. On synthetic trunks and a real CT, nearly all voxels of all
# organs lie within 15 mm of such a voxel; with 0.5, a tenth of some kidneys does not.
POSSIBLE = 0.1
TABLE = 2  # half the thickness in coarse voxels of bright things that are not part of the patient
MARGIN = 6  # coarse voxels around the patient's box, for skin and fat


class CoarsePass:
    """What the network finds at half the resolution.

    The network was trained at full resolution, so the mask is rough. It only has to show where organs are.

    Args:
        inferer: Has the patch size of the network.
        net: Maps (B,1,I,J,K) to logits (B,C,I,J,K).
        image: (1,1,I,J,K), at full resolution.

    Attributes:
        size: (I,J,K) of the coarse grid.
        windows: Number of windows.
        possible: (C-1,I,J,K) whether the probability of an organ is above `POSSIBLE`.
        mask: (I,J,K) class indices.
    """

    def __init__(self, inferer: SlidingWindow, net: Callable[[Tensor], Tensor], image: Tensor) -> None:
        self.size = coarse_size(image.shape[2:])
        small = linear(image[0], self.size)[None].to(image)
        body = _patient_box(small[0, 0])
        small = small[:, :, *body]
        # Windows are never smaller than a patch: with less air around the patient, instance normalisation sees other
        # statistics, and the network finds nothing. A little overlap is enough for a rough mask.
        i, j, k = inferer.patch_size
        window = SlidingWindow((i, j, k), (i // 8, j // 8, k // 8), inferer.batch_size)
        self.windows = window.windows(small.shape[2:])
        logits = window(net, small)[0]
        around = _padding(body, self.size)
        self.mask = F.pad(best_class(logits), around)
        self.possible = F.pad(logits.softmax(dim=0)[1:] > POSSIBLE, around)


def coarse_size(size: Sequence[int]) -> tuple[int, ...]:
    """Voxels of the coarse grid over the same field of view."""
    return tuple(max(1, round(n / FACTOR)) for n in size)


def _patient_box(image: Tensor) -> tuple[slice, ...]:
    """Box around all bright things in an image (I,J,K) that are thicker than a table; the whole image if none is.

    Bright is above the mean, which lies between air and tissue.
    """
    bright = (image > image.mean()).float()
    thick = -F.max_pool3d(-bright[None], 2 * TABLE + 1, 1, TABLE)[0]  # outside the image counts as bright
    if not thick.any():
        return tuple(slice(0, n) for n in image.shape)
    return foreground_box(thick > 0, MARGIN)


def _padding(box: tuple[slice, ...], size: Sequence[int]) -> list[int]:
    """Arguments of `F.pad` that put a box back into a volume of a size."""
    pads: list[int] = []
    for part, n in reversed(list(zip(box, size, strict=True))):  # F.pad starts with the last axis
        pads += [part.start, n - part.stop]
    return pads
