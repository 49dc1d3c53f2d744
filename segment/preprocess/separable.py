"""Linear maps along the axes of a volume by matrices: one definition for images, labels and predictions.

A line of n voxels that is resampled to m voxels keeps its field of view: output voxel j is centred at
``(j + 0.5) * n / m - 0.5`` in input voxels. Every change of grid in `segment` (to a spacing, a size, or a CT's own
grid) has this separable form. It therefore also works for oblique and sheared affines, which image libraries refuse.
"""

import math
from collections.abc import Callable, Sequence

import torch
from torch import Tensor

SLAB_VOXELS = 8_000_000  # input voxels that are float32 at once: 32 MB
Box = tuple[slice, slice, slice]


def centred_positions(size_in: int, size_out: int) -> Tensor:
    """Centres of `size_out` voxels over the field of view of `size_in` voxels, in input voxels (float64)."""
    return (torch.arange(size_out, dtype=torch.float64) + 0.5) * (size_in / size_out) - 0.5


def linear_weights(size_in: int, positions: Tensor, width: float = 1.0) -> Tensor:
    """Matrix (len(positions), size_in) that samples a line of voxels with a triangle filter.

    Args:
        size_in: Voxels of the line.
        positions: Positions of the samples in voxels. Outside the line, the border voxel is repeated.
        width: Half width of the triangle in voxels, at least 1. A width of 1 is linear interpolation. When the line
            shrinks, the ratio of the spacings averages over all voxels (anti-aliasing), which reduces noise in CT.
    """
    positions = positions.clamp(0, size_in - 1)
    distance = positions[:, None] - torch.arange(size_in, dtype=torch.float64)[None]
    weights = (1 - distance.abs() / width).clamp(min=0)
    if width > 1:
        # The centre of mass of a sampled triangle is off its centre by up to a twelfth of a voxel. This is corrected
        # unless an end of the line cuts the triangle off. A ramp then keeps its position, as in linear interpolation.
        slope = (weights * distance).sum(dim=1) / (weights * distance**2).sum(dim=1)
        slope[(positions - width < -1) | (positions + width > size_in)] = 0
        weights = weights * (1 - slope[:, None] * distance)
    return (weights / weights.sum(dim=1, keepdim=True)).float()


def apply_along_axes(volume: Tensor, weights: Sequence[Tensor]) -> Tensor:
    """Apply one matrix per spatial axis to a volume (C,I,J,K), starting with the axis that shrinks most."""
    shrink = [w.shape[0] / w.shape[1] for w in weights]
    for axis in sorted(range(3), key=shrink.__getitem__):
        if is_identity(weights[axis]):
            continue
        matrix = weights[axis].to(volume)
        if axis == 0:
            volume = (matrix @ volume.flatten(2)).reshape(-1, len(matrix), *volume.shape[2:])
        elif axis == 1:
            volume = matrix @ volume
        else:
            volume = volume @ matrix.T
    return volume


def is_identity(matrix: Tensor) -> bool:
    """Whether a weight matrix does not change its axis."""
    size = matrix.shape[0]
    return size == matrix.shape[1] and torch.equal(matrix, torch.eye(size, dtype=matrix.dtype, device=matrix.device))


def linear(volume: Tensor, size_out: Sequence[int]) -> Tensor:
    """Resample (C,I,J,K) to (C,*size_out) float32 by a triangle filter, with anti-aliasing on axes that shrink."""
    return linear_by_slabs(lambda box: volume[(slice(None), *box)].float().contiguous(), volume.shape[1:], size_out)


def linear_by_slabs(read: Callable[[Box], Tensor], size_in: Sequence[int], size_out: Sequence[int]) -> Tensor:
    """As `linear`, for a volume that is read slab by slab, across the axis that shrinks least.

    Training volumes are resampled in the same slabs as CTs for prediction, because sums over a whole volume and over
    its slabs may differ in their last bits.

    Args:
        read: Returns a box (C,I,J,K) of the volume, float32 and contiguous.
        size_in: (I,J,K) of the volume.
        size_out: (I,J,K) of the result.
    """
    weights = []
    for n, m in zip(size_in, size_out, strict=True):
        weights.append(linear_weights(n, centred_positions(n, m), width=max(n / m, 1)))
    last = max(range(3), key=lambda axis: (size_out[axis] / size_in[axis], axis))
    n = size_in[last]
    step = max(1, SLAB_VOXELS * n // math.prod(size_in))
    box = [slice(0, size) for size in size_in]
    parts: list[Tensor] = []
    for start in range(0, n, step):
        box[last] = slice(start, min(start + step, n))
        eye = torch.eye(box[last].stop - start)
        slab = read((box[0], box[1], box[2]))
        parts.append(apply_along_axes(slab, [eye if axis == last else w for axis, w in enumerate(weights)]))
    volume = torch.cat(parts, dim=1 + last) if len(parts) > 1 else parts[0]
    others = [torch.eye(size) for size in size_out]
    return apply_along_axes(volume, [weights[axis] if axis == last else others[axis] for axis in range(3)])


def nearest(volume: Tensor, size_out: Sequence[int]) -> Tensor:
    """Resample (C,I,J,K) to (C,*size_out) by nearest neighbour. Dtype and values are kept."""
    for axis, (n, m) in enumerate(zip(volume.shape[1:], size_out, strict=True), start=1):
        if n != m:
            # Ties, which occur at integer ratios, go to the upper voxel on every axis.
            index = (centred_positions(n, m) + 0.5).floor().long().clamp(0, n - 1)
            volume = volume.index_select(axis, index)
    return volume
