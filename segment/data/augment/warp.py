"""Resampling of a patch under any map, thin slab by slab."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

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

    def places(self, first: int, last: int) -> list[Tensor]:
        """Where slices first … last - 1 come from: three (slices,J,K) float32; beyond the border the place on it."""
        i, j, k = (torch.arange(n, dtype=torch.float32) for n in self.size)
        i = i[first:last]
        result = []
        for axis, (row, start, n) in enumerate(zip(self.matrix, self.offset, self.size, strict=True)):
            place = (i * row[0] + start)[:, None, None] + (j * row[1])[:, None] + k * row[2]
            if self.weights is not None and self.field is not None:
                place += (self.weights[first:last] @ self.field[axis].flatten(1)).reshape(place.shape)
            result.append(place.clamp_(0, n - 1))
        return result


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
    for first, last in _slabs(warp.size):
        slab = (_Axes if warp.along_axes else _Corner)(warp, first, last)
        for source, result, near in zip(sources, results, nearest, strict=True):
            for channel, out in zip(source, result, strict=True):
                (slab.nearest if near else slab.linear)(channel, out[first:last])
    return results


def _slabs(size: Sequence[int]) -> Iterator[tuple[int, int]]:
    thick = max(1, SLAB_VOXELS // (size[1] * size[2]))
    return ((first, min(first + thick, size[0])) for first in range(0, size[0], thick))


class _Axes:
    """A slab whose coordinates each come from the same coordinate alone: resampled axis by axis, in half the time."""

    def __init__(self, warp: Warp, first: int, last: int) -> None:
        lines = [
            (torch.arange(n) * warp.matrix[axis][axis] + warp.offset[axis]).clamp_(0, n - 1)
            for axis, n in enumerate(warp.size)
        ]
        lines[0] = lines[0][first:last]
        self.lower, self.above = _split(lines, warp.size)
        self.last = [n - 1 for n in warp.size]

    def linear(self, volume: Tensor, out: Tensor) -> None:
        """Interpolate."""
        for axis, (lower, above) in enumerate(zip(self.lower, self.above, strict=True)):
            here = volume.index_select(axis, lower)
            beside = volume.index_select(axis, (lower + 1).clamp_(max=self.last[axis]))
            volume = here.lerp_(beside, above.reshape([-1] + [1] * (2 - axis)))
        out.copy_(volume)

    def nearest(self, volume: Tensor, out: Tensor) -> None:
        """Take the nearest voxels."""
        for axis, (lower, above) in enumerate(zip(self.lower, self.above, strict=True)):
            volume = volume.index_select(axis, lower + (above + 0.5).int())
        out.copy_(volume)


class _Corner:
    """A slab whose voxels come from anywhere."""

    def __init__(self, warp: Warp, first: int, last: int) -> None:
        lower, above = _split(warp.places(first, last), warp.size)
        self.above = [part.flatten() for part in above]
        self.stride = (warp.size[1] * warp.size[2], warp.size[2], 1)
        # To the next voxel along I, J, K; an axis of one voxel has none.
        self.step = [stride * (n > 1) for stride, n in zip(self.stride, warp.size, strict=True)]
        self.index = self._flat(lower).flatten()

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
        """Place in the flattened volume of voxels given by their I, J and K, which are overwritten."""
        i, j, k = voxel
        return i.mul_(self.stride[0]).add_(j.mul_(self.stride[1])).add_(k)


def _split(places: Sequence[Tensor], size: Sequence[int]) -> tuple[list[Tensor], list[Tensor]]:
    """Voxels below places, and how far the places are above them: less than 1, but at the upper border."""
    lower = [place.int().clamp_(max=max(n - 2, 0)) for place, n in zip(places, size, strict=True)]
    return lower, [place.sub(low) for place, low in zip(places, lower, strict=True)]
