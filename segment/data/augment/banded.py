"""Matrices that mix neighbouring voxels only, applied along the axes of a volume."""

from collections.abc import Sequence

import torch
from torch import Tensor

from segment.data.augment.warp import slabs

BAND_ROWS = 16  # fewer leave out more zeros, but multiply less efficiently
NOTHING = 1e-9  # A weight below this is lost in the rounding of float32.

Band = tuple[slice, slice, Tensor]  # rows, columns, and the part of the matrix that they cut out


def apply_banded(volume: Tensor, weights: Sequence[Tensor]) -> Tensor:
    """Apply one matrix per spatial axis, and leave out most products with zeros: half the time of whole matrices.

    Args:
        volume: (C,I,J,K) float32; stays as it is.
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
    """Runs of rows, each with the columns between its first and its last weight."""
    bands = []
    for start in range(0, len(matrix), BAND_ROWS):
        rows = slice(start, start + BAND_ROWS)
        used = (matrix[rows].abs() > NOTHING).any(dim=0).nonzero()
        columns = slice(int(used[0]), int(used[-1]) + 1)
        bands.append((rows, columns, matrix[rows, columns]))
    return bands
