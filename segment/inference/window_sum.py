"""The weighted sum of the logits of all or some windows of a volume."""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from segment.inference.best_class import best_class
from segment.inference.region import union, within

Corner = tuple[int, ...]  # first voxel of a window

# Logit of background, and 0 for the organs, where no window was run.
BACKGROUND = 10.0


class WindowSum:
    """Sums in the smallest box that holds all windows so far.

    Args:
        patch_size: Voxels of a window along I, J, K.
        device: Where the sums are.
    """

    def __init__(self, patch_size: Sequence[int], device: torch.device) -> None:
        self.patch_size = tuple(patch_size)
        self.weight = gaussian(patch_size).to(device)
        self.box: tuple[slice, ...] = (slice(0, 0),) * 3
        self._total: Tensor | None = None
        self._norm = self.weight.new_zeros((0, 0, 0))

    def window(self, corner: Corner) -> tuple[slice, ...]:
        """The box of a window."""
        return tuple(slice(first, first + patch) for first, patch in zip(corner, self.patch_size, strict=True))

    def run(self, net: Callable[[Tensor], Tensor], image: Tensor, corners: Sequence[Corner], batch_size: int) -> None:
        """Run a network in windows, and add its logits.

        Args:
            net: Maps (B,1,*patch_size) to logits (B,C,*patch_size).
            image: (1,1,I,J,K).
            corners: Where the windows begin.
            batch_size: Number of windows in a batch.
        """
        for first in range(0, len(corners), batch_size):
            batch = corners[first : first + batch_size]
            logits = net(torch.cat([image[:, :, *self.window(corner)] for corner in batch]))
            if first == 0:
                self._make_room(corners, logits.shape[1])
            for corner, window_logits in zip(batch, logits, strict=True):
                self._add(corner, window_logits)

    def _make_room(self, corners: Sequence[Corner], classes: int) -> None:
        """Enlarge the box for windows that will be added."""
        boxes = [self.window(corner) for corner in corners]
        box = union(boxes if self._total is None else [*boxes, self.box])
        if box == self.box:
            return
        shape = [part.stop - part.start for part in box]
        total, norm = self.weight.new_zeros((classes, *shape)), self.weight.new_zeros(shape)
        if self._total is not None:
            inner = within(self.box, box)
            total[(slice(None), *inner)] = self._total
            norm[inner] = self._norm
        self.box, self._total, self._norm = box, total, norm

    def _add(self, corner: Corner, logits: Tensor) -> None:
        """Add the logits (C,*patch_size) of a window for which there is room."""
        assert self._total is not None  # _make_room was called
        part = within(self.window(corner), self.box)
        self._total[(slice(None), *part)].addcmul_(logits, self.weight)
        self._norm[part] += self.weight

    def mask(self) -> Tensor:
        """Class indices (I,J,K), uint8, in the box. Voxels without a window are background."""
        assert self._total is not None
        return best_class(self._total)  # a weighted sum has the same highest class as the mean

    def front(self, mask: Tensor, size: Sequence[int]) -> tuple[Tensor, tuple[slice, ...]]:
        """Voxels beside an organ that no window has covered yet, and their box in a volume of `size` voxels.

        Args:
            mask: As returned by `mask`.
            size: (I,J,K) of the volume.
        """
        box = tuple(slice(max(0, s.start - 1), min(n, s.stop + 1)) for s, n in zip(self.box, size, strict=True))
        inner = within(self.box, box)
        organ = torch.zeros([part.stop - part.start for part in box], dtype=torch.bool, device=mask.device)
        covered = torch.zeros_like(organ)
        organ[inner] = mask > 0
        covered[inner] = self._norm > 0
        return _grown(organ).logical_and_(covered.logical_not_()), box

    def mean(self, box: tuple[slice, ...]) -> Tensor:
        """Mean logits (C,I,J,K) in a part of the sums' box, float32: a view of the sums, which are used up."""
        assert self._total is not None
        part = within(box, self.box)
        logits, norm = self._total[(slice(None), *part)], self._norm[part]
        is_bare = norm == 0
        logits /= norm.clamp_(min=torch.finfo(norm.dtype).tiny)
        logits[0].masked_fill_(is_bare, BACKGROUND)
        return logits


def _grown(mask: Tensor) -> Tensor:
    """A boolean mask (I,J,K) with the 26 neighbours of its voxels; in a quarter of the memory of `max_pool3d`."""
    for axis, n in enumerate(mask.shape):
        grown = mask.clone()
        grown.narrow(axis, 1, n - 1).logical_or_(mask.narrow(axis, 0, n - 1))
        grown.narrow(axis, 0, n - 1).logical_or_(mask.narrow(axis, 1, n - 1))
        mask = grown
    return mask


def gaussian(size: Sequence[int]) -> Tensor:
    """Weights (I,J,K) in [1e-3, 1]. With the minimum, a voxel in the corner of a single patch still has a weight."""
    # With an explicit dtype, because Lightning changes the default one in true half precision.
    weight = torch.ones((), dtype=torch.float32)
    for n in size:
        x = torch.arange(n, dtype=torch.float32) - (n - 1) / 2
        weight = weight[..., None] * torch.exp(-0.5 * (x / (n / 8)) ** 2)
    return weight.clamp_(min=1e-3)
