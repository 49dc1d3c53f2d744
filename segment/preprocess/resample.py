"""Resampling along the axes of a volume, as matrices: one definition for images, labels and the way back.

A volume of n voxels resampled to m voxels keeps its field of view: output voxel j is centred at
``(j + 0.5) * n / m - 0.5`` in input voxels. Every change of grid in `segment` (spacing, size, a CT's own grid) is of
this separable form, so it also works for oblique and sheared affines, which image libraries refuse.
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
from segment.memory.refuse import CPU, check_memory


def centred_positions(size_in: int, size_out: int) -> Tensor:
    """Centres of `size_out` voxels over the same field of view, in input voxels (float64)."""
    return (torch.arange(size_out, dtype=torch.float64) + 0.5) * (size_in / size_out) - 0.5


def linear_weights(size_in: int, positions: Tensor, width: float = 1.0) -> Tensor:
    """Matrix (len(positions), size_in) that samples a line of voxels with a triangle filter.

    Args:
        size_in: Voxels of the line.
        positions: Where to sample, in voxels; outside the line the border voxel is repeated.
        width: Half width of the triangle in voxels, at least 1: linear interpolation. When shrinking, the ratio
            of the spacings averages over what is left out (anti-aliasing), which in CT means less noise.
    """
    positions = positions.clamp(0, size_in - 1)
    distance = positions[:, None] - torch.arange(size_in, dtype=torch.float64)[None]
    weights = (1 - distance.abs() / width).clamp(min=0)
    if width > 1:
        # A sampled triangle leans to one side, by up to a twelfth of a voxel; straightened where nothing of it is cut
        # off by an end of the line, it leaves a ramp where it is, as linear interpolation does.
        lean = (weights * distance).sum(dim=1) / (weights * distance**2).sum(dim=1)
        lean[(positions - width < -1) | (positions + width > size_in)] = 0
        weights = weights * (1 - lean[:, None] * distance)
    return (weights / weights.sum(dim=1, keepdim=True)).float()


def apply_along_axes(volume: Tensor, weights: Sequence[Tensor]) -> Tensor:
    """Apply one matrix per spatial axis to a volume (C,I,J,K); the axis that shrinks most goes first."""
    shrink = [w.shape[0] / w.shape[1] for w in weights]
    for axis in sorted(range(3), key=shrink.__getitem__):
        if is_identity(weights[axis]):
            continue
        matrix = weights[axis].to(volume)
        if axis == 0:
            volume = (matrix @ volume.flatten(2)).reshape(-1, len(matrix), *volume.shape[2:])
        else:
            volume = matrix @ volume if axis == 1 else volume @ matrix.T
    return volume


def is_identity(matrix: Tensor) -> bool:
    """Whether a weight matrix leaves its axis as it is."""
    return matrix.shape[0] == matrix.shape[1] and torch.equal(matrix, torch.eye(matrix.shape[0]))


class Resample(tio.SpatialTransform):  # type: ignore[misc]
    """Change the voxel size along the volume's own axes, or the number of voxels.

    Images by (anti-aliased) linear interpolation, labels by nearest neighbour. The field of view is kept exactly, so
    the spacing that comes out can differ from the one asked for by less than half a voxel over the whole axis; the
    affine of the result tells the true one.

    Args:
        spacing_mm: Wanted spacing along I, J, K in mm.
        size: Instead of a spacing, the wanted number of voxels along I, J, K.

    Raises:
        UserError: When not exactly one of the two is given, or one is not positive.
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
        """Refuse a grid that does not fit into memory.

        Raises:
            UserError: With the grid, and with a spacing that fits where one is asked for.
        """
        needed = resampled_bytes(image.shape, size_out, labels=isinstance(image, tio.LabelMap))
        own_mm, voxels = " x ".join(f"{s:.4g}" for s in image.spacing), "x".join(map(str, size_out))
        what = f"resampling a CT of {'x'.join(map(str, image.spatial_shape))} voxels of {own_mm} mm to {voxels} voxels"
        remedy = f"train with a smaller size than {list(size_out)}"
        if self.spacing_mm is not None:
            fitting = self._fitting(image, self.spacing_mm)
            remedy = f"check the spacing in its header, or train with a coarser one, such as spacing_mm={fitting}"
        check_memory(needed, what, remedy)

    def _fitting(self, image: tio.Image, spacing_mm: Sequence[float]) -> list[float]:
        """A coarser spacing whose grid takes half of the free memory at most, or a single voxel."""
        most, size = measure.free(CPU) / 2, _size_for_spacing(image.spatial_shape, image.affine, spacing_mm)
        coarser = list(spacing_mm)
        while resampled_bytes(image.shape, size) > most and max(size) > 1:
            coarser = [math.ceil(12 * s) / 10 for s in coarser]
            size = _size_for_spacing(image.spatial_shape, image.affine, coarser)
        return coarser


def resampled_bytes(shape: Sequence[int], size_out: Sequence[int], labels: bool = False) -> int:
    """Peak bytes that `linear`, or for labels `nearest`, takes for a volume (C,I,J,K) beside the volume itself.

    Axis by axis, the volume before and after, and the matrix of weights, of which float64 copies are made.
    """
    channels, *size = shape
    voxel = 1 if labels else 4
    order = range(3) if labels else sorted(range(3), key=lambda axis: size_out[axis] / size[axis])
    most = 0
    for number, axis in enumerate(order):
        before = channels * math.prod(size) if number else 0  # the first one is the volume itself
        matrix = 0 if labels or size[axis] == size_out[axis] else 8 * 4 * size[axis] * size_out[axis]
        size[axis] = size_out[axis]
        most = max(most, voxel * (before + channels * math.prod(size)) + matrix)
    return most


def linear(volume: Tensor, size_out: Sequence[int]) -> Tensor:
    """Resample (C,I,J,K) to (C,*size_out) by a triangle filter, anti-aliased where it shrinks; float32."""
    weights = [
        linear_weights(n, centred_positions(n, m), width=max(n / m, 1))
        for n, m in zip(volume.shape[1:], size_out, strict=True)
    ]
    return apply_along_axes(volume.float(), weights)


def nearest(volume: Tensor, size_out: Sequence[int]) -> Tensor:
    """Resample (C,I,J,K) to (C,*size_out) by nearest neighbour; dtype and values are kept."""
    for axis, (n, m) in enumerate(zip(volume.shape[1:], size_out, strict=True), start=1):
        if n != m:
            # Ties, which occur at whole ratios, go to the upper voxel on every axis.
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
