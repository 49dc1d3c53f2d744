"""A mask as runs of equal voxels, so that its pieces are found in little memory and time."""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

SLAB_VOXELS = 4_000_000  # voxels that are compared, or changed, at a time


@dataclass(frozen=True)
class Runs:
    """The smallest box around all organs, with a margin of one voxel, row by row along K.

    The runs tile the box: every voxel belongs to one. They are sorted by their position.

    Attributes:
        shape: (I,J,K) of the whole mask.
        corner: (3,) voxel of the mask at which the box begins.
        size: (3,) of the box.
        start: (N,) position of each run in the flat box.
        value: (N,) uint8 class index of each run.
    """

    shape: tuple[int, ...]
    corner: tuple[int, ...]
    size: tuple[int, ...]
    start: np.ndarray
    value: np.ndarray

    @property
    def lengths(self) -> np.ndarray:
        """(N,) voxels of each run."""
        return np.diff(self.start, append=np.prod(self.size, dtype=np.int64))

    def first_voxels(self) -> np.ndarray:
        """(N,3) I, J and K of the first voxel of each run, in the mask."""
        return np.stack(np.unravel_index(self.start, self.size), axis=1) + self.corner


def find_runs(mask: np.ndarray) -> Runs | None:
    """Split a mask (I,J,K) into runs; None if it is empty.

    Memory is that of a slab, and 9 bytes for each run. The organs of a CT of 512×512×133 have about 100,000.
    """
    box = _box(mask)
    if box is None:
        return None
    size = tuple(part.stop - part.start for part in box)
    starts, values = [], []
    for first, slab in _slabs(mask[box]):
        begins = np.ones(slab.shape, bool)
        np.not_equal(slab[..., 1:], slab[..., :-1], out=begins[..., 1:])
        position = np.flatnonzero(begins)
        starts.append(position + first * size[1] * size[2])
        values.append(slab.ravel()[position])
    corner = tuple(part.start for part in box)
    return Runs(mask.shape, corner, size, np.concatenate(starts), np.concatenate(values))


def neighbours(runs: Runs) -> np.ndarray:
    """Pairs of runs with voxels that share a face, (M,2) int32 indices of runs."""
    start, (_, rows, columns) = runs.start, runs.size
    end = start + runs.lengths
    i, j = np.divmod(start // columns, rows)
    same_row = np.flatnonzero(start[1:] % columns)
    firsts, seconds = [same_row.astype(np.int32)], [same_row.astype(np.int32) + 1]
    for step, has_next in ((columns, j < rows - 1), (rows * columns, i < runs.size[0] - 1)):
        here = np.flatnonzero(has_next)
        low = np.searchsorted(start, start[here] + step, side="right") - 1  # the run with the voxel beside the first
        high = np.searchsorted(start, end[here] + step - 1, side="right") - 1  # and beside the last
        counts = high - low + 1
        firsts.append(np.repeat(here.astype(np.int32), counts))
        seconds.append(_ranges(low, counts).astype(np.int32))
    return np.stack([np.concatenate(firsts), np.concatenate(seconds)], axis=1)


def set_runs(mask: np.ndarray, runs: Runs, which: np.ndarray, values: np.ndarray) -> None:
    """Overwrite the voxels of some runs.

    Args:
        mask: (I,J,K), contiguous.
        runs: Its runs.
        which: (M,) indices of runs.
        values: (M,) new class indices.
    """
    flat = mask.reshape(-1)
    first = np.ravel_multi_index(tuple(runs.first_voxels()[which].T), runs.shape)
    lengths = runs.lengths[which]
    ends = np.cumsum(lengths)
    cuts = [0]
    while cuts[-1] < len(which):  # at least one run at a time
        done = ends[cuts[-1] - 1] if cuts[-1] else 0
        cuts.append(max(cuts[-1] + 1, int(np.searchsorted(ends, done + SLAB_VOXELS, side="right"))))
    for a, b in pairwise(cuts):
        flat[_ranges(first[a:b], lengths[a:b])] = np.repeat(values[a:b], lengths[a:b])


def _box(mask: np.ndarray) -> tuple[slice, slice, slice] | None:
    """Smallest box around all organs with a margin of one voxel, within the mask; None if the mask is empty."""
    plane = np.zeros(mask.shape[1:], bool)
    filled = np.zeros(mask.shape[0], bool)
    for i, layer in enumerate(mask):
        filled[i] = layer.any()
        if filled[i]:
            np.logical_or(plane, layer, out=plane)
    if not filled.any():
        return None
    parts = []
    lines: list[np.ndarray] = [filled, np.asarray(plane.any(axis=1)), np.asarray(plane.any(axis=0))]
    for line in lines:
        inside = np.flatnonzero(line)
        parts.append(slice(max(0, int(inside[0]) - 1), min(len(line), int(inside[-1]) + 2)))
    return parts[0], parts[1], parts[2]


def _slabs(box: np.ndarray) -> Iterator[tuple[int, np.ndarray]]:
    """Index of the first layer, and contiguous voxels, of each slab along I."""
    layers = max(1, SLAB_VOXELS // (box.shape[1] * box.shape[2]))
    for first in range(0, box.shape[0], layers):
        yield first, np.ascontiguousarray(box[first : first + layers])


def _ranges(first: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """The integers first[n], …, first[n] + counts[n] - 1 of every n, one after the other."""
    before = np.cumsum(counts) - counts
    result: np.ndarray = np.repeat(first - before, counts) + np.arange(int(counts.sum()))
    return result
