"""Rotation, scaling, shift and elastic deformation in one resampling."""

import math
from collections.abc import Sequence

import torch
import torchio as tio
from torch import Tensor

from segment.bounds import NonNegativeFloat, PositiveFloat, Share, in_range
from segment.data.augment.elastic import FOLD_FREE, random_coefficients, spline_weights
from segment.data.augment.sampling import bernoulli, log_uniform
from segment.data.augment.subjects import shallow_copy
from segment.data.augment.warp import Warp, resample
from segment.errors import UserError
from segment.preprocess.separable import apply_along_axes


class RandomSpatial(tio.SpatialTransform):  # type: ignore[misc]
    """Rotate, scale, shift and deform a patch in one resampling of image and label.

    The image is interpolated linearly, the label by nearest neighbour. Voxels from outside the patch repeat its border.
    Angles and displacements are correct in millimetres for any voxel size. Nothing is mirrored or folded: right stays
    right. A patch is returned as it is if no change is sampled for it.

    Args:
        degrees: Range of the rotation about each axis, uniform in ± this many degrees.
        scale: Range of the factor by which the size is multiplied, log-uniform in 1 / (1 + scale) … 1 + scale.
        shift: Range of the shift along each axis, uniform in ± this share of the patch.
        elastic_mm: Largest elastic displacement along each axis in mm. The root mean square is a fifth of it.
        grid_mm: Distance between the control points of the elastic deformation in mm. Larger is smoother.
        p: Probability that the transform is applied.
        p_rotate: Probability of rotation, if the transform is applied.
        p_scale: Probability of scaling, if the transform is applied.
        p_elastic: Probability of elastic deformation, if the transform is applied.

    Raises:
        UserError: When a number is out of its range, or elastic_mm is so large for grid_mm that it could fold the
            patch.
    """

    @in_range
    def __init__(
        self,
        degrees: NonNegativeFloat,
        scale: NonNegativeFloat,
        shift: NonNegativeFloat = 0.0,
        elastic_mm: NonNegativeFloat = 0.0,
        grid_mm: PositiveFloat = 40.0,
        p: Share = 1.0,
        p_rotate: Share = 1.0,
        p_scale: Share = 1.0,
        p_elastic: Share = 1.0,
    ) -> None:
        super().__init__(p=p, copy=False)
        if elastic_mm > FOLD_FREE * grid_mm:
            msg = f"elastic_mm={elastic_mm} can fold a patch; take at most {FOLD_FREE:.2f} times grid_mm ({grid_mm})"
            raise UserError(msg)
        self.degrees = degrees
        self.scale = scale
        self.shift = shift
        self.elastic_mm = elastic_mm
        self.grid_mm = grid_mm
        self.p_rotate = p_rotate
        self.p_scale = p_scale
        self.p_elastic = p_elastic
        self.args_names = ["degrees", "scale", "shift", "elastic_mm", "grid_mm", "p_rotate", "p_scale", "p_elastic"]

    def apply_transform(self, subject: tio.Subject) -> tio.Subject:
        """Sample one map and resample every image of the subject with it."""
        warp = self.sample_warp(subject.spatial_shape, subject.spacing)
        if warp is not None:
            subject = shallow_copy(subject)
            images = self.get_images(subject)
            nearest = [isinstance(image, tio.LabelMap) for image in images]
            resampled = resample([image.data for image in images], nearest, warp)
            for image, data in zip(images, resampled, strict=True):
                image.set_data(data)
        return subject

    def sample_warp(self, size: Sequence[int], spacing_mm: Sequence[float]) -> Warp | None:
        """A random map of a patch of `size` voxels along I, J, K; None if it would not change the patch."""
        rotate = bernoulli(self.p_rotate) and self.degrees > 0
        scale = bernoulli(self.p_scale) and self.scale > 0
        deform = bernoulli(self.p_elastic) and self.elastic_mm > 0
        if not (rotate or scale or deform or self.shift > 0):
            return None
        rotation, factor = torch.eye(3), 1.0
        if rotate:
            rotation = _rotation((torch.rand(3) * 2 - 1) * math.radians(self.degrees))
        if scale:
            factor = log_uniform(1 / (1 + self.scale), 1 + self.scale)
        # A rotation in voxels would shear a patch with anisotropic spacing, so it is done in millimetres.
        mm = torch.tensor(spacing_mm, dtype=torch.float32)
        extent = torch.tensor(size, dtype=torch.float32)
        matrix = rotation / factor * mm / mm[:, None]
        centre = (extent - 1) / 2
        offset = centre - matrix @ centre + (torch.rand(3) * 2 - 1) * self.shift * extent
        if not deform:
            return Warp(size, matrix.tolist(), offset.tolist())
        weights, field = self._sample_field(size, spacing_mm, matrix)
        return Warp(size, matrix.tolist(), offset.tolist(), weights, field)

    def _sample_field(self, size: Sequence[int], spacing_mm: Sequence[float], matrix: Tensor) -> tuple[Tensor, Tensor]:
        """`weights` and `field` of a `Warp` for a random elastic displacement before the rest of the map."""
        weights = [spline_weights(n, mm, self.grid_mm) for n, mm in zip(size, spacing_mm, strict=True)]
        moved = random_coefficients(weights, self.elastic_mm) / torch.tensor(spacing_mm)[:, None, None, None]
        moved = torch.einsum("ab,bijk->aijk", matrix, moved)
        return weights[0], apply_along_axes(moved, [torch.eye(moved.shape[1]), *weights[1:]])


def _rotation(angles: Tensor) -> Tensor:
    """Rotation (3,3) by angles (3,) in radians about I, then J, then K."""
    (cx, cy, cz), (sx, sy, sz) = torch.cos(angles).tolist(), torch.sin(angles).tolist()
    about_i = torch.tensor([[1, 0, 0], [0, cx, -sx], [0, sx, cx]])
    about_j = torch.tensor([[cy, 0, sy], [0, 1, 0], [-sy, 0, cy]])
    about_k = torch.tensor([[cz, -sz, 0], [sz, cz, 0], [0, 0, 1]])
    return about_k @ about_j @ about_i
