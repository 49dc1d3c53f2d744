"""Run only those windows of a sliding window that decide about an organ."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

import torch
from torch import Tensor

from segment.inference.region import Region, foreground_box
from segment.inference.search.coarse_pass import CoarsePass
from segment.inference.search.window_grid import WindowGrid
from segment.inference.sliding_window import SlidingWindow, pad
from segment.inference.window_sum import BACKGROUND, Corner, WindowSum
from segment.preprocess.separable import centred_positions
from segment.runtime.machine import release_freed_memory

# A window is left out if its relative weight, averaged over the voxels of an organ, is at most this for every organ.
SHARE = 0.02
# Least Dice of every organ between the coarse mask and the fine one; below, the coarse mask is not trusted. Sound CTs
# have 0.58 and more, see docs/speed.md.
AGREEMENT = 0.3
# An organ that ends at voxels without a window is followed if there are at least so many of these voxels.
FRONT = 16
FEW = 4  # so few windows are all run: a coarse pass would not pay


@dataclass(frozen=True)
class Search:
    """What was run for a CT.

    Attributes:
        windows: Number of windows that were run at full resolution.
        all_windows: Number of windows of the full sliding window.
        coarse_windows: Number of windows at half the resolution; 0 if they were left out.
        doubtful: Classes for which the coarse mask was not trusted. If there is one, all windows were run.
    """

    windows: int
    all_windows: int
    coarse_windows: int = 0
    doubtful: list[int] = field(default_factory=list)


def search_organs(inferer: SlidingWindow, net: Callable[[Tensor], Tensor], image: Tensor) -> tuple[Region, Search]:
    """Logits of the part of a volume with organs, from as few windows as necessary.

    1. The network looks for the organs at half the resolution.
    2. It runs the windows of the full sliding window that decide about them: those with a share above `SHARE` of the
       relative weight of an organ.
    3. The shares are computed again from the fine mask, and further windows run, until no window is above `SHARE`. An
       organ that reaches voxels without a window is followed there, however small that part may be.
    4. If an organ is missing, or its coarse and its fine mask do not agree, all other windows are run, too. The mask is
       then that of the full sliding window, except that windows of constant intensity (air) are left out.

    Args:
        inferer: The full sliding window.
        net: Maps (B,1,*patch_size) to logits (B,C,*patch_size).
        image: (1,1,I,J,K), preprocessed.
    """
    padded, origin = pad(image, inferer.patch_size)
    run = _Run(inferer, net, padded)
    if len(run.grid.corners) <= FEW:
        run.add(run.grid.corners)
        return _cropped(run, origin, image), Search(len(run.done), len(run.grid.corners))
    coarse = CoarsePass(inferer, net, padded)
    release_freed_memory()
    run.classes = 1 + coarse.possible.shape[0]
    run.add(run.grid.above(map(run.grid.coarse_shares, coarse.possible), SHARE))
    doubtful = run.follow(coarse)
    if doubtful:
        run.add(corner for corner in run.grid.corners if not run.is_constant(corner))
    search = Search(len(run.done), len(run.grid.corners), coarse.windows, doubtful)
    return _cropped(run, origin, image), search


class _Run:
    """The windows of one volume that were run so far."""

    def __init__(self, inferer: SlidingWindow, net: Callable[[Tensor], Tensor], image: Tensor) -> None:
        self.net = net
        self.image = image
        self.batch_size = inferer.batch_size
        self.grid = WindowGrid(inferer, image.shape[2:], image.device)
        self.sums = WindowSum(inferer.patch_size, image.device)
        self.done: set[Corner] = set()
        self.classes = 1  # of the logits; known after the first window

    def add(self, corners: Iterable[Corner]) -> None:
        """Run the windows among these that were not run yet, in the order of the grid."""
        todo = sorted(set(corners) - self.done)
        self.sums.run(self.net, self.image, todo, self.batch_size)
        self.done.update(todo)

    def follow(self, coarse: CoarsePass) -> list[int]:
        """Run windows until none is left with a share above `SHARE` of an organ or of what lies beside it.

        Returns:
            The doubtful classes.
        """
        organs = range(1, self.classes)
        if not self.done:
            return list(organs)
        while True:
            mask, box = self.sums.mask(), self.sums.box
            shares = [self.grid.shares(mask == index, box) for index in organs]
            front, around = self.sums.front(mask, self.grid.size)
            if front.sum() >= FRONT:
                shares.append(self.grid.shares(front, around))
            new = self.grid.above(shares, SHARE) - self.done
            if not new:
                fine = _on_coarse_grid(mask, box, self.grid.size, coarse.size)
                return [index for index in organs if _dice(fine, coarse.mask, index) < AGREEMENT]
            self.add(new)

    def is_constant(self, corner: Corner) -> bool:
        """Whether a window shows nothing, for example only air."""
        window = self.image[:, :, *self.sums.window(corner)]
        return bool(window.amin() == window.amax())

    def region(self, inside: tuple[slice, ...]) -> Region:
        """Logits of the organs' box within a part of the volume."""
        if not self.done:
            logits = self.image.new_zeros((self.classes, 1, 1, 1))
            logits[0] = BACKGROUND
            return Region(logits, tuple(part.start for part in inside))
        box = foreground_box(self.sums.mask(), margin=1)
        parts = []
        for part, outer, limit in zip(box, self.sums.box, inside, strict=True):
            start = min(max(part.start + outer.start, limit.start), limit.stop - 1)
            parts.append(slice(start, max(start + 1, min(part.stop + outer.start, limit.stop))))
        logits = self.sums.mean(tuple(parts)).clone()  # without the rest of the sums
        return Region(logits, tuple(part.start for part in parts))


def _cropped(run: _Run, origin: list[int], image: Tensor) -> Region:
    """The logits of the organs, without the padding of the volume."""
    inside = tuple(slice(first, first + n) for first, n in zip(origin, image.shape[2:], strict=True))
    region = run.region(inside)
    return Region(region.logits, tuple(start - first for start, first in zip(region.start, origin, strict=True)))


def _on_coarse_grid(mask: Tensor, box: tuple[slice, ...], size: tuple[int, ...], coarse: tuple[int, ...]) -> Tensor:
    """A mask in a box of a volume of `size` voxels, by nearest neighbour on the coarse grid of the whole volume."""
    result = mask
    pads: list[int] = []
    for axis, (part, n, m) in enumerate(zip(box, size, coarse, strict=True)):
        index = centred_positions(n, m).round().long().clamp(0, n - 1)
        inside = (index >= part.start) & (index < part.stop)
        result = result.index_select(axis, (index[inside] - part.start).to(mask.device))
        first = int((index < part.start).sum())
        pads = [first, m - first - int(inside.sum()), *pads]
    return torch.nn.functional.pad(result, pads)


def _dice(one: Tensor, two: Tensor, index: int) -> float:
    """Dice of a class; 0 if it is in neither mask."""
    a, b = one == index, two == index
    return float(2 * (a & b).sum() / (a.sum() + b.sum()).clamp(min=1))
