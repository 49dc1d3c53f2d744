"""Resampling along the axes of a volume by matrices: one definition for images, labels and predictions.

A line of n voxels that is resampled to m voxels keeps its field of view: output voxel j is centred at
``(j + 0.5) * n / m - 0.5`` in input voxels. Every change of grid in `segment` (to a spacing, a size, or a CT's own
grid) has this separable form. It therefore also works for oblique and sheared affines, which image libraries refuse.
"""

import math
from collections.abc import Sequence

import numpy as np
import torch
import torchio as tio
from torch import Tensor

from segment.bounds import Spacing, Voxels, in_range
from segment.errors import UserError
from segment.memory import measure
from segment.memory.measure import CPU, check_memory


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
    return matrix.shape[0] == matrix.shape[1] and torch.equal(matrix, torch.eye(matrix.shape[0]))


class Resample(tio.SpatialTransform):  # type: ignore[misc]
    """Change the voxel size along the volume's own axes, or the number of voxels.

    Images are interpolated linearly with anti-aliasing, labels by nearest neighbour. The field of view is kept exactly.
    Because the number of voxels is rounded, the resulting spacing can differ from `spacing_mm`, by less than half a
    voxel over the whole axis. The affine of the result holds the exact spacing.

    Args:
        spacing_mm: Target spacing along I, J, K in mm.
        size: Target number of voxels along I, J, K, instead of a spacing.

    Raises:
        UserError: When not exactly one of the two is given, or a number is not positive.
    """

    @in_range
    def __init__(self, spacing_mm: Spacing | None = None, size: Voxels | None = None) -> None:
        super().__init__()
        if (spacing_mm is None) == (size is None):
            msg = f"Resample takes either spacing_mm or size; got {spacing_mm=}, {size=}"
            raise UserError(msg)
        self.spacing_mm = None if spacing_mm is None else tuple(float(s) for s in spacing_mm)
        self.size = None if size is None else tuple(int(n) for n in size)
        self.args_names = ["spacing_mm", "size"]

    def apply_transform(self, subject: tio.Subject) -> tio.Subject:
        """Resample every image of the subject."""
        for image in self.get_images(subject):
            size_in = image.spatial_shape
            size_out = self.size or _size_for_spacing(size_in, image.affine, self.spacing_mm or ())
            self._check_memory(image, size_out)
            resample = nearest if isinstance(image, tio.LabelMap) else linear
            image.set_data(resample(image.data, size_out))
            image.affine = rescaled_affine(image.affine, size_in, size_out)
        return subject

    def _check_memory(self, image: tio.Image, size_out: Sequence[int]) -> None:
        """Check that resampling an image to `size_out` voxels fits into memory.

        Raises:
            UserError: When it does not fit. The error names the grid and, if a spacing is set, one that fits.
        """
        needed = resampled_bytes(image.shape, size_out, labels=isinstance(image, tio.LabelMap))
        spacing = " x ".join(f"{s:.4g}" for s in image.spacing)
        before, after = ("x".join(map(str, size)) for size in (image.spatial_shape, size_out))
        what = f"resampling a CT of {before} voxels of {spacing} mm to {after} voxels"
        remedy = f"train with a smaller size than {list(size_out)}"
        if self.spacing_mm is not None:
            fitting = self._fitting(image, self.spacing_mm)
            remedy = f"check the spacing in its header, or train with a coarser one, e.g. spacing_mm={fitting}"
        check_memory(needed, what, remedy)

    def _fitting(self, image: tio.Image, spacing_mm: Sequence[float]) -> list[float]:
        """A coarser spacing at which resampling takes half of the free memory at most, or gives a single voxel."""
        most = measure.free(CPU) / 2
        size = _size_for_spacing(image.spatial_shape, image.affine, spacing_mm)
        coarser = list(spacing_mm)
        while resampled_bytes(image.shape, size) > most and max(size) > 1:
            coarser = [math.ceil(12 * s) / 10 for s in coarser]
            size = _size_for_spacing(image.spatial_shape, image.affine, coarser)
        return coarser


def resampled_bytes(shape: Sequence[int], size_out: Sequence[int], labels: bool = False) -> int:
    """Peak memory in bytes of `linear`, or for labels `nearest`, for a volume (C,I,J,K), without the volume itself.

    For each axis in turn, this is the volume before and after, and the matrix of weights with its float64 copies.
    """
    channels, *size = shape
    voxel_bytes = 1 if labels else 4
    axes = [0, 1, 2]
    if not labels:
        axes.sort(key=lambda axis: size_out[axis] / shape[axis + 1])
    peak = 0
    before = 0  # at the first axis, the volume before is the given one, which does not count
    for axis in axes:
        matrix_bytes = 0
        if not labels and size[axis] != size_out[axis]:
            matrix_bytes = 8 * 4 * size[axis] * size_out[axis]
        size[axis] = size_out[axis]
        after = channels * math.prod(size)
        peak = max(peak, voxel_bytes * (before + after) + matrix_bytes)
        before = after
    return peak


def linear(volume: Tensor, size_out: Sequence[int]) -> Tensor:
    """Resample (C,I,J,K) to (C,*size_out) float32 by a triangle filter, with anti-aliasing on axes that shrink."""
    weights = []
    for n, m in zip(volume.shape[1:], size_out, strict=True):
        weights.append(linear_weights(n, centred_positions(n, m), width=max(n / m, 1)))
    return apply_along_axes(volume.float(), weights)


def nearest(volume: Tensor, size_out: Sequence[int]) -> Tensor:
    """Resample (C,I,J,K) to (C,*size_out) by nearest neighbour. Dtype and values are kept."""
    for axis, (n, m) in enumerate(zip(volume.shape[1:], size_out, strict=True), start=1):
        if n != m:
            # Ties, which occur at integer ratios, go to the upper voxel on every axis.
            index = (centred_positions(n, m) + 0.5).floor().long().clamp(0, n - 1)
            volume = volume.index_select(axis, index)
    return volume


def rescaled_affine(affine: np.ndarray, size_in: Sequence[int], size_out: Sequence[int]) -> np.ndarray:
    """Affine of a volume resampled over the same field of view."""
    scale = np.asarray(size_in, dtype=np.float64) / np.asarray(size_out, dtype=np.float64)
    result = np.array(affine, dtype=np.float64)
    result[:3, 3] += result[:3, :3] @ (scale / 2 - 0.5)
    result[:3, :3] *= scale
    return result


def _size_for_spacing(size: Sequence[int], affine: np.ndarray, spacing_mm: Sequence[float]) -> tuple[int, ...]:
    own_mm = np.linalg.norm(affine[:3, :3], axis=0)
    return tuple(max(1, round(n * own / s)) for n, own, s in zip(size, own_mm, spacing_mm, strict=True))
