"""Run a network that takes patches over whole volumes."""

import math
from collections.abc import Callable, Sequence
from itertools import product

from torch import Tensor
from torch.nn import functional as F  # noqa: N812

from segment.bounds import NonNegativeInt, PositiveInt, Voxels, in_range
from segment.inference.window_sum import WindowSum


class SlidingWindow:
    """Predict a volume patch by patch and blend the overlaps with Gaussian weights.

    The weights (standard deviation: 1/8 of the patch) are higher at the centre of a patch than at its border, as in
    nnU-Net (Isensee et al. 2021). They equal those of MONAI's `sliding_window_inference`. Here the windows are evenly
    spaced, while MONAI's last two windows may overlap more than the others. Sums are float32 for any precision of the
    network, because half precision is not accurate enough.

    Args:
        patch_size: Patch along I, J, K in voxels.
        overlap: Minimum number of voxels that neighbouring patches share along each axis, below the patch size.
        batch_size: Number of patches in a batch.

    Raises:
        ValueError: When a number is out of its range, or an overlap is not below its patch size.
    """

    @in_range
    def __init__(
        self,
        patch_size: Voxels,
        overlap: tuple[NonNegativeInt, NonNegativeInt, NonNegativeInt] | NonNegativeInt,
        batch_size: PositiveInt = 1,
    ) -> None:
        self.patch_size = tuple(patch_size)
        self.overlap = (overlap,) * 3 if isinstance(overlap, int) else tuple(overlap)
        self.batch_size = batch_size
        if any(o >= p for o, p in zip(self.overlap, self.patch_size, strict=True)):
            msg = f"overlap {self.overlap} must be below the patch size {self.patch_size}"
            raise ValueError(msg)

    def __call__(self, net: Callable[[Tensor], Tensor], image: Tensor) -> Tensor:
        """Logits of a whole volume.

        Args:
            net: Maps (B,1,*patch_size) to logits (B,C,*patch_size).
            image: (1,1,I,J,K), any size. A volume smaller than the patch is padded with its minimum (air).

        Returns:
            Logits (1,C,I,J,K), float32, on the image's device.
        """
        padded, origin = pad(image, self.patch_size)
        sums = WindowSum(self.patch_size, image.device)
        sums.run(net, padded, list(product(*self.axes(padded.shape[2:]))), self.batch_size)
        inside = tuple(slice(o, o + n) for o, n in zip(origin, image.shape[2:], strict=True))
        return sums.mean(inside)[None]

    def windows(self, size: Sequence[int]) -> int:
        """Number of patches for a volume of (I,J,K) voxels."""
        return math.prod(map(len, self.axes(self._padded(size))))

    def sum_bytes(self, size: Sequence[int], classes: int) -> int:
        """Peak memory in bytes for the sums, weights and padding of a volume, without that of the network."""
        padded = math.prod(self._padded(size))
        is_padded = padded != math.prod(size)
        return 4 * ((classes + 1 + is_padded) * padded + math.prod(self.patch_size))

    def _padded(self, size: Sequence[int]) -> list[int]:
        return [max(n, patch) for n, patch in zip(size, self.patch_size, strict=True)]

    def axes(self, size: Sequence[int]) -> list[list[int]]:
        """First voxels of the windows along each axis of a volume (I,J,K) that is at least as large as a patch.

        The windows are evenly spaced, and as few as the overlap allows.
        """
        axes = []
        for n, patch, overlap in zip(size, self.patch_size, self.overlap, strict=True):
            steps = -(-(n - patch) // (patch - overlap))  # rounded up
            if steps:
                axes.append([round(i * (n - patch) / steps) for i in range(steps + 1)])
            else:
                axes.append([0])
        return axes


def pad(image: Tensor, size: Sequence[int]) -> tuple[Tensor, list[int]]:
    """Centre a volume in at least `size` voxels; returns it and the new index of its first voxel."""
    missing = [max(0, p - n) for n, p in zip(image.shape[2:], size, strict=True)]
    before = [m // 2 for m in missing]
    if not any(missing):
        return image, before
    pads: list[int] = []
    for total, first in zip(reversed(missing), reversed(before), strict=True):  # F.pad starts with the last axis
        pads += [first, total - first]
    return F.pad(image, pads, value=float(image.min())), before
