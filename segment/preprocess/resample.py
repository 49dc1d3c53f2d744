"""Change the voxel size or the number of voxels of a volume along its own axes."""

import math
from collections.abc import Callable, Sequence

import numpy as np
import torchio as tio
from torch import Tensor

from segment.bounds import Spacing, Voxels, in_range
from segment.errors import UserError
from segment.memory import measure
from segment.memory.measure import CPU, check_memory
from segment.preprocess.separable import Box, linear, linear_by_slabs, nearest


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
            self._check_memory(image.shape, image.affine, size_out, labels=isinstance(image, tio.LabelMap))
            resample = nearest if isinstance(image, tio.LabelMap) else linear
            image.set_data(resample(image.data, size_out))
            image.affine = rescaled_affine(image.affine, size_in, size_out)
        return subject

    def from_slabs(
        self, read: Callable[[Box], Tensor], size_in: Sequence[int], affine: np.ndarray
    ) -> tuple[Tensor, np.ndarray]:
        """Resample an image that is read slab by slab, so that it is never float32 as a whole.

        Args:
            read: Returns a box (1,I,J,K) of the image, float32 and contiguous.
            size_in: (I,J,K) of the image.
            affine: Voxel → RAS+ mm of the image.

        Returns:
            The same image (1,I,J,K) and affine as `apply_transform`.
        """
        size_out = self.size or _size_for_spacing(size_in, affine, self.spacing_mm or ())
        self._check_memory((1, *size_in), affine, size_out, labels=False)
        return linear_by_slabs(read, size_in, size_out), rescaled_affine(affine, size_in, size_out)

    def _check_memory(self, shape: Sequence[int], affine: np.ndarray, size_out: Sequence[int], labels: bool) -> None:
        """Check that resampling an image (C,I,J,K) to `size_out` voxels fits into memory.

        Raises:
            UserError: When it does not fit. The error names the grid and, if a spacing is set, one that fits.
        """
        needed = resampled_bytes(shape, size_out, labels)
        spacing = " x ".join(f"{s:.4g}" for s in np.linalg.norm(affine[:3, :3], axis=0))
        before, after = ("x".join(map(str, size)) for size in (shape[1:], size_out))
        what = f"resampling a CT of {before} voxels of {spacing} mm to {after} voxels"
        remedy = f"train with a smaller size than {list(size_out)}"
        if self.spacing_mm is not None:
            fitting = self._fitting(shape, affine, self.spacing_mm)
            remedy = f"check the spacing in its header, or train with a coarser one, e.g. spacing_mm={fitting}"
        check_memory(needed, what, remedy)

    def _fitting(self, shape: Sequence[int], affine: np.ndarray, spacing_mm: Sequence[float]) -> list[float]:
        """A coarser spacing at which resampling takes half of the free memory at most, or gives a single voxel."""
        most = measure.free(CPU) / 2
        size = _size_for_spacing(shape[1:], affine, spacing_mm)
        coarser = list(spacing_mm)
        while resampled_bytes(shape, size) > most and max(size) > 1:
            coarser = [math.ceil(12 * s) / 10 for s in coarser]
            size = _size_for_spacing(shape[1:], affine, coarser)
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
