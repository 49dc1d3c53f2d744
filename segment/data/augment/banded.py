"""Products of a volume with band matrices: matrices that mix only neighbouring voxels."""

from collections.abc import Sequence

import torch
from torch import Tensor

from segment.data.augment.warp import slabs

BAND_ROWS = 16  # fewer rows skip more zeros, but multiply less efficiently
NEGLIGIBLE = 1e-9  # the rounding of float32 hides smaller weights

Band = tuple[slice, slice, Tensor]  # rows, columns, and the block of the matrix that they select


def apply_banded(volume: Tensor, weights: Sequence[Tensor]) -> Tensor:
    """Apply one matrix per spatial axis. Most products with zeros are skipped, which halves the time.

    Args:
        volume: (C,I,J,K) float32; not changed.
        weights: (I,I), (J,J) and (K,K) float32.
    """
    along_i, along_j, along_k = (_bands(matrix) for matrix in weights)
    result = torch.empty_like(volume, memory_format=torch.contiguous_format)
    for channel, out in zip(volume, result, strict=True):
        for rows, columns, band in along_i:
            torch.mm(band, channel[columns].flatten(1), out=out[rows].flatten(1))
        for first, last in slabs(channel.shape):
            slab = out[first:last]
            mixed = torch.cat([band @ slab[:, columns] for _, columns, band in along_j], dim=1).flatten(0, 1)
            for rows, columns, band in along_k:
                torch.mm(mixed[:, columns], band.T, out=slab.flatten(0, 1)[:, rows])
    return result


def _bands(matrix: Tensor) -> list[Band]:
    """Groups of rows, each with the columns from its first to its last weight."""
    bands = []
    for start in range(0, len(matrix), BAND_ROWS):
        rows = slice(start, start + BAND_ROWS)
        used = (matrix[rows].abs() > NEGLIGIBLE).any(dim=0).nonzero()
        columns = slice(int(used[0]), int(used[-1]) + 1)
        bands.append((rows, columns, matrix[rows, columns]))
    return bands
