"""Depth of a network, and its strides and kernels along each axis, from voxel size and patch.

The rules are those of nnU-Net (Isensee et al. 2021, doi:10.1038/s41592-020-01008-z, supplementary note 2): an axis is
halved while enough voxels are left and while its voxels are at most twice as large as the smallest; a kernel spans an
axis only where that holds, too. For example, voxels of 0.8 × 0.8 × 5 mm are halved in-plane twice before their slices
are.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

LEAST_VOXELS = 4  # edge of the coarsest grid of a patch
MOST_LEVELS = 6
RATIO = 2.0  # voxels along one axis may be this many times as large as along another before it is left alone
COVERED = 0.95  # otherwise a patch that is too small by a hair would grow by a quarter
STEM_RATIO = 1.5  # the same for the first convolution, behind which nothing sees the finer grid again

Size = tuple[int, ...]


@dataclass(frozen=True)
class Topology:
    """Grids of a network.

    Attributes:
        stem: Stride of the first convolution.
        strides: Stride from each level to the next coarser one.
        kernels: Kernel of each level.
    """

    stem: Size
    strides: tuple[Size, ...]
    kernels: tuple[Size, ...]

    @property
    def levels(self) -> int:
        """Number of levels."""
        return len(self.kernels)

    @property
    def multiple(self) -> Size:
        """The edges of a patch must be multiples of these."""
        return tuple(math.prod(axis) for axis in zip(self.stem, *self.strides, strict=True))


def make_topology(spacing_mm: Sequence[float], patch: Sequence[float], stem_stride: int) -> Topology:
    """Choose the grids of a network.

    Args:
        spacing_mm: Voxel size of the patch along R, A, S.
        patch: Desired number of voxels along each axis; it need not be a multiple of anything.
        stem_stride: 2 lets the network begin on a coarser grid where voxels are small; 1 does not.
    """
    spacing, size = list(spacing_mm), list(patch)
    stem = tuple(stem_stride if near else 1 for near in _near_smallest(spacing, STEM_RATIO))
    spacing, size = _coarser(spacing, size, stem)
    strides: list[Size] = []
    kernels = [_kernel(spacing)]
    while len(kernels) < MOST_LEVELS:
        possible = [edge >= 2 * LEAST_VOXELS for edge in size]
        if not any(possible):
            break
        smallest = min(s for s, ok in zip(spacing, possible, strict=True) if ok)
        step = tuple(2 if ok and s <= RATIO * smallest else 1 for s, ok in zip(spacing, possible, strict=True))
        spacing, size = _coarser(spacing, size, step)
        strides.append(step)
        kernels.append(_kernel(spacing))
    return Topology(stem, tuple(strides), tuple(kernels))


def round_patch(patch: Sequence[float], multiple: Sequence[int]) -> Size:
    """The patch of allowed edges that is closest to the desired one."""
    return tuple(max(m, m * round(edge / m)) for edge, m in zip(patch, multiple, strict=True))


def cover_patch(patch: Sequence[float], multiple: Sequence[int]) -> Size:
    """A patch of allowed edges that has nearly the shape of the desired one, and at least `COVERED` of its voxels."""
    edges = [max(m, m * int(edge / m)) for edge, m in zip(patch, multiple, strict=True)]
    while math.prod(edges) < COVERED * math.prod(patch):
        shortest = min(range(len(edges)), key=lambda axis: edges[axis] / patch[axis])
        edges[shortest] += multiple[shortest]
    return tuple(edges)


def _near_smallest(spacing: Sequence[float], ratio: float = RATIO) -> list[bool]:
    return [s <= ratio * min(spacing) for s in spacing]


def _kernel(spacing: Sequence[float]) -> Size:
    return tuple(3 if near else 1 for near in _near_smallest(spacing))


def _coarser(spacing: Sequence[float], size: Sequence[float], step: Size) -> tuple[list[float], list[float]]:
    return (
        [s * factor for s, factor in zip(spacing, step, strict=True)],
        [n // factor for n, factor in zip(size, step, strict=True)],
    )
