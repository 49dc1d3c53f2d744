"""The weighted sum of the logits of some windows of a volume."""

from collections.abc import Iterable, Sequence

import torch
from torch import Tensor
from torch.nn import functional as F  # noqa: N812

from segment.inference.best_class import best_class
from segment.inference.region import Region, union, within
from segment.inference.search.window_grid import Corner
from segment.inference.sliding_window import gaussian

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

    def make_room(self, corners: Iterable[Corner], classes: int) -> None:
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

    def add(self, corner: Corner, logits: Tensor) -> None:
        """Add the logits (C,*patch_size) of a window for which there is room."""
        assert self._total is not None  # make_room was called
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
        organ = self._norm.new_zeros([part.stop - part.start for part in box])
        covered = torch.zeros_like(organ, dtype=torch.bool)
        organ[inner] = (mask > 0).float()
        covered[inner] = self._norm > 0
        beside = F.max_pool3d(organ[None], 3, 1, 1)[0] > 0
        return beside & ~covered, box

    def region(self, box: tuple[slice, ...]) -> Region:
        """Mean logits in a part of the sums' box; the sums are used up."""
        assert self._total is not None
        part = within(box, self.box)
        logits, norm = self._total[(slice(None), *part)], self._norm[part]
        logits /= norm.clamp(min=torch.finfo(norm.dtype).tiny)
        logits[0].masked_fill_(norm == 0, BACKGROUND)
        return Region(logits.clone(), tuple(side.start for side in box))
