"""Resampling of a patch under an arbitrary map, in thin slabs."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

# Buffers of this many voxels stay in a core's cache. They also stay below the size from which the allocator asks the
# system for new pages every time: 12 ms for image and label of 96³ instead of 43 ms.
SLAB_VOXELS = 1 << 17


@dataclass(frozen=True)
class Warp:
    """Map from each voxel of the result to its source position: `matrix` @ voxel + `offset` + displacement, in voxels.

    Attributes:
        size: I, J, K of the patch.
        matrix: 3×3.
        offset: 3 numbers.
        weights: (I, points), which turns `field` into the displacement along I, J, K; None without displacement.
        field: (3, points, J, K) float32, or None.
    """

    size: Sequence[int]
    matrix: Sequence[Sequence[float]]
    offset: Sequence[float]
    weights: Tensor | None = None
    field: Tensor | None = None

    @property
    def along_axes(self) -> bool:
        """Whether each coordinate depends on the same coordinate only: scaled and shifted, not rotated or deformed."""
        return self.field is None and not any(self.matrix[a][b] for a in range(3) for b in range(3) if a != b)

    def axis_positions(self) -> list[Tensor]:
        """Source positions of each I, J and K of a map along the axes: three 1D float32 tensors."""
        positions = []
        for axis, n in enumerate(self.size):
            position = torch.arange(n) * self.matrix[axis][axis] + self.offset[axis]
            positions.append(position.clamp_(0, _last_position(n)))
        return positions

    def slab_positions(self) -> Iterator[list[Tensor]]:
        """Source positions of the voxels of each slab in turn: three (slices,J,K) float32 tensors."""
        i, j, k = (torch.arange(n, dtype=torch.float32) for n in self.size)
        along_ij = []
        along_k = []
        for row, start in zip(self.matrix, self.offset, strict=True):
            along_ij.append((i * row[0] + start)[:, None] + j * row[1])
            along_k.append(k * row[2])
        for first, last in slabs(self.size):
            positions = []
            for axis, n in enumerate(self.size):
                position = along_ij[axis][first:last, :, None] + along_k[axis]
                if self.weights is not None and self.field is not None:
                    position += (self.weights[first:last] @ self.field[axis].flatten(1)).reshape(position.shape)
                positions.append(position.clamp_(0, _last_position(n)))
            yield positions


def resample(volumes: Sequence[Tensor], nearest: Sequence[bool], warp: Warp) -> list[Tensor]:
    """Resample volumes of one grid with one map. Positions outside the volume repeat its border.

    Args:
        volumes: Each (C,I,J,K).
        nearest: For each volume, whether to take the nearest voxel, which keeps dtype and values; a tie goes to the
            upper voxel. Otherwise the volume is interpolated linearly, and the result is float32.
        warp: The map.
    """
    sources = [volume if near else volume.float() for volume, near in zip(volumes, nearest, strict=True)]
    results = [torch.empty_like(source, memory_format=torch.contiguous_format) for source in sources]
    for (first, last), slab in zip(slabs(warp.size), _slab_maps(warp), strict=True):
        for source, result, near in zip(sources, results, nearest, strict=True):
            resample_channel = slab.nearest if near else slab.linear
            for channel, out in zip(source, result, strict=True):
                resample_channel(channel, out[first:last])
    return results


def _slab_maps(warp: Warp) -> Iterator["_AxisSlab | _GeneralSlab"]:
    if warp.along_axes:
        i, j, k = warp.axis_positions()
        for first, last in slabs(warp.size):
            yield _AxisSlab([i[first:last], j, k], warp.size)
    else:
        for positions in warp.slab_positions():
            yield _GeneralSlab(positions, warp.size)


def slabs(size: Sequence[int]) -> Iterator[tuple[int, int]]:
    """First slice and end (exclusive) of each slab of a volume (I,J,K); a slab has at most `SLAB_VOXELS` voxels."""
    thick = max(1, SLAB_VOXELS // (size[1] * size[2]))
    for first in range(0, size[0], thick):
        yield first, min(first + thick, size[0])


class _AxisSlab:
    """A slab of a map along the axes. Resampling axis by axis is much faster than the general case."""

    def __init__(self, positions: Sequence[Tensor], size: Sequence[int]) -> None:
        self.lower = [position.long() for position in positions]
        self.above = [position.frac() for position in positions]
        self.step = [int(n > 1) for n in size]  # to the next voxel; an axis of one voxel has no next voxel

    def linear(self, volume: Tensor, out: Tensor) -> None:
        """Interpolate linearly."""
        for axis, (lower, above, step) in enumerate(zip(self.lower, self.above, self.step, strict=True)):
            value, next_value = _pick(volume, axis, lower), _pick(volume, axis, lower + step)
            volume = value.lerp_(next_value, above.reshape([-1] + [1] * (2 - axis)))
        out.copy_(volume)

    def nearest(self, volume: Tensor, out: Tensor) -> None:
        """Take the nearest voxels."""
        for axis, (lower, above) in enumerate(zip(self.lower, self.above, strict=True)):
            volume = _pick(volume, axis, lower + (above + 0.5).int())
        out.copy_(volume)


class _GeneralSlab:
    """A slab of any map."""

    def __init__(self, positions: Sequence[Tensor], size: Sequence[int]) -> None:
        self.stride = (size[1] * size[2], size[2], 1)
        # To the next voxel along I, J, K; an axis of one voxel has no next voxel.
        self.step = [stride * (n > 1) for stride, n in zip(self.stride, size, strict=True)]
        self.index = self._flat_index([position.int() for position in positions])
        self.above = [position.frac_().flatten() for position in positions]

    def linear(self, volume: Tensor, out: Tensor) -> None:
        """Interpolate linearly; twice as fast as grid_sample on one CPU core."""
        line = volume.flatten()
        lower = self._along_jk(line, 0)
        upper = self._along_jk(line, self.step[0])
        torch.lerp(lower, upper, self.above[0], out=out.view(-1))

    def nearest(self, volume: Tensor, out: Tensor) -> None:
        """Take the nearest voxels."""
        up = self._flat_index([above.add(0.5).int() for above in self.above])
        torch.index_select(volume.flatten(), 0, up.add_(self.index), out=out.view(-1))

    def _along_jk(self, line: Tensor, start: int) -> Tensor:
        lower = self._along_k(line, start)
        upper = self._along_k(line, start + self.step[1])
        return lower.lerp_(upper, self.above[1])

    def _along_k(self, line: Tensor, start: int) -> Tensor:
        lower = line[start:].index_select(0, self.index)
        upper = line[start + self.step[2] :].index_select(0, self.index)
        return lower.lerp_(upper, self.above[2])

    def _flat_index(self, voxel: Sequence[Tensor]) -> Tensor:
        """Index in the flattened volume of voxels given by I, J and K. The last tensor is overwritten."""
        i, j, k = voxel
        return k.add_(j, alpha=self.stride[1]).add_(i, alpha=self.stride[0]).flatten()


def _pick(volume: Tensor, axis: int, index: Tensor) -> Tensor:
    """Planes of a volume (I,J,K). Along the last axis `gather` is three times as fast as `index_select`."""
    if axis < 2:
        return volume.index_select(axis, index)
    return volume.gather(axis, index.expand(*volume.shape[:2], -1))


def _last_position(n: int) -> float:
    """The largest float32 below the last of n voxels, the last position that has a next voxel; 0 for one voxel."""
    return float(np.nextafter(np.float32(n - 1), np.float32(0)))
