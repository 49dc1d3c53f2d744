"""Resampling of a patch under any map, thin slab by slab."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

# Buffers of this many voxels stay in a core's cache, and under the size from which the allocator asks the system for
# fresh pages every time: 12 ms for image and label of 96³ instead of 43.
SLAB_VOXELS = 1 << 17


@dataclass(frozen=True)
class Warp:
    """Where the voxels of a patch come from: `matrix` @ voxel + `offset` + displacement, in voxels.

    Attributes:
        size: I, J, K of the patch.
        matrix: 3×3.
        offset: 3 numbers.
        weights: (I, points) that turns `field` into the displacement along I, J, K; None: there is none.
        field: (3, points, J, K) float32, or None.
    """

    size: Sequence[int]
    matrix: Sequence[Sequence[float]]
    offset: Sequence[float]
    weights: Tensor | None = None
    field: Tensor | None = None

    @property
    def along_axes(self) -> bool:
        """Whether each coordinate comes from the same coordinate alone: scaled and shifted, not turned or deformed."""
        return self.field is None and not any(self.matrix[a][b] for a in range(3) for b in range(3) if a != b)

    def lines(self) -> list[Tensor]:
        """Where a map along the axes takes each I, J and K from: three lines, float32."""
        return [
            (torch.arange(n) * self.matrix[axis][axis] + self.offset[axis]).clamp_(0, _border(n))
            for axis, n in enumerate(self.size)
        ]

    def places(self) -> Iterator[list[Tensor]]:
        """Where the voxels of slab after slab come from: three (slices,J,K) float32."""
        i, j, k = (torch.arange(n, dtype=torch.float32) for n in self.size)
        starts = [
            (i * row[0] + start)[:, None] + j * row[1] for row, start in zip(self.matrix, self.offset, strict=True)
        ]
        along_k = [k * row[2] for row in self.matrix]
        for first, last in slabs(self.size):
            result = [start[first:last, :, None] + along for start, along in zip(starts, along_k, strict=True)]
            if self.weights is not None and self.field is not None:
                for place, field in zip(result, self.field, strict=True):
                    place += (self.weights[first:last] @ field.flatten(1)).reshape(place.shape)
            yield [place.clamp_(0, _border(n)) for place, n in zip(result, self.size, strict=True)]


def resample(volumes: Sequence[Tensor], nearest: Sequence[bool], warp: Warp) -> list[Tensor]:
    """Resample volumes of one grid with one map.

    Args:
        volumes: Each (C,I,J,K).
        nearest: For each volume, whether the nearest voxel is taken, dtype and values kept (on a tie the upper voxel);
            else it is interpolated linearly, float32. Beyond the border the border is repeated.
        warp: The map.
    """
    sources = [volume if near else volume.float() for volume, near in zip(volumes, nearest, strict=True)]
    results = [torch.empty_like(source, memory_format=torch.contiguous_format) for source in sources]
    for (first, last), slab in zip(slabs(warp.size), _maps(warp), strict=True):
        for source, result, near in zip(sources, results, nearest, strict=True):
            for channel, out in zip(source, result, strict=True):
                (slab.nearest if near else slab.linear)(channel, out[first:last])
    return results


def _maps(warp: Warp) -> Iterator["_Axes | _Corner"]:
    if not warp.along_axes:
        return (_Corner(places, warp.size) for places in warp.places())
    i, j, k = warp.lines()
    return (_Axes([i[first:last], j, k], warp.size) for first, last in slabs(warp.size))


def slabs(size: Sequence[int]) -> Iterator[tuple[int, int]]:
    """First and last slice, exclusive, of the slabs of at most `SLAB_VOXELS` that a volume (I,J,K) falls into."""
    thick = max(1, SLAB_VOXELS // (size[1] * size[2]))
    return ((first, min(first + thick, size[0])) for first in range(0, size[0], thick))


class _Axes:
    """A slab whose coordinates each come from the same coordinate alone: resampled axis by axis, far faster."""

    def __init__(self, places: Sequence[Tensor], size: Sequence[int]) -> None:
        self.lower = [place.long() for place in places]
        self.above = [place.frac() for place in places]
        # To the next voxel; an axis of one voxel has none.
        self.step = [int(n > 1) for n in size]

    def linear(self, volume: Tensor, out: Tensor) -> None:
        """Interpolate."""
        for axis, (lower, above, step) in enumerate(zip(self.lower, self.above, self.step, strict=True)):
            here, beside = _pick(volume, axis, lower), _pick(volume, axis, lower + step)
            volume = here.lerp_(beside, above.reshape([-1] + [1] * (2 - axis)))
        out.copy_(volume)

    def nearest(self, volume: Tensor, out: Tensor) -> None:
        """Take the nearest voxels."""
        for axis, (lower, above) in enumerate(zip(self.lower, self.above, strict=True)):
            volume = _pick(volume, axis, lower + (above + 0.5).int())
        out.copy_(volume)


class _Corner:
    """A slab whose voxels come from anywhere."""

    def __init__(self, places: Sequence[Tensor], size: Sequence[int]) -> None:
        self.stride = (size[1] * size[2], size[2], 1)
        # To the next voxel along I, J, K; an axis of one voxel has none.
        self.step = [stride * (n > 1) for stride, n in zip(self.stride, size, strict=True)]
        self.index = self._flat([place.int() for place in places])
        self.above = [place.frac_().flatten() for place in places]

    def linear(self, volume: Tensor, out: Tensor) -> None:
        """Interpolate; twice as fast as grid_sample on one CPU core."""
        line, (i, j) = volume.flatten(), self.step[:2]
        lower, upper = (self._pair(line, start).lerp_(self._pair(line, start + j), self.above[1]) for start in (0, i))
        torch.lerp(lower, upper, self.above[0], out=out.view(-1))

    def nearest(self, volume: Tensor, out: Tensor) -> None:
        """Take the nearest voxels."""
        up = self._flat([above.add(0.5).int() for above in self.above])
        torch.index_select(volume.flatten(), 0, up.add_(self.index), out=out.view(-1))

    def _pair(self, line: Tensor, start: int) -> Tensor:
        here = line[start:].index_select(0, self.index)
        beside = line[start + self.step[2] :].index_select(0, self.index)
        return here.lerp_(beside, self.above[2])

    def _flat(self, voxel: Sequence[Tensor]) -> Tensor:
        """Place in the flattened volume of voxels given by their I, J and K; the last is overwritten."""
        i, j, k = voxel
        return k.add_(j, alpha=self.stride[1]).add_(i, alpha=self.stride[0]).flatten()


def _pick(volume: Tensor, axis: int, index: Tensor) -> Tensor:
    """Planes of a volume (I,J,K); along the last axis `index_select` takes three times as long as `gather`."""
    if axis < 2:
        return volume.index_select(axis, index)
    return volume.gather(axis, index.expand(*volume.shape[:2], -1))


def _border(n: int) -> float:
    """The last place on a line of n voxels that still has a next voxel, a rounding error below the last voxel."""
    return float(np.nextafter(np.float32(n - 1), np.float32(0)))
