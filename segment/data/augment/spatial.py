"""Rotation, scaling, shift and elastic deformation in one resampling."""

import math
from collections.abc import Sequence

import torch
import torchio as tio
from torch import Tensor

from segment.bounds import NotNegative, Positive, Share, in_range
from segment.data.augment.draw import happens, log_uniform
from segment.data.augment.elastic import FOLD_FREE, random_coefficients, spline_weights
from segment.data.augment.share import sharing
from segment.data.augment.warp import Warp, resample
from segment.errors import UserError
from segment.preprocess.resample import apply_along_axes


class RandomSpatial(tio.SpatialTransform):  # type: ignore[misc]
    """Rotate, scale, shift and deform a patch in one resampling of image and label.

    The image is interpolated linearly and padded with its border, the label by nearest neighbour. Angles and
    displacements are true in millimetres, whatever the voxel size. Nothing is mirrored or folded: right stays right.
    A patch for which nothing is drawn stays as it is.

    Args:
        degrees: Rotation about each axis is uniform in ± this many degrees.
        scale: Size is multiplied by a factor log-uniform in 1 / (1 + scale) … 1 + scale.
        shift: Shift along each axis is uniform in ± this share of the patch.
        elastic_mm: Elastic displacement along each axis is at most this many mm, a fifth of it on average (RMS).
        grid_mm: Distance between the control points of the elastic deformation in mm: larger is smoother.
        p: Probability that the transform is applied.
        p_rotate: Of a patch to which it is applied, probability of rotation,
        p_scale: of scaling,
        p_elastic: and of elastic deformation.

    Raises:
        UserError: When a number is out of its range, or the elastic displacement is so large for its grid that it could
            fold the patch.
    """

    @in_range
    def __init__(
        self,
        degrees: NotNegative,
        scale: NotNegative,
        shift: NotNegative = 0.0,
        elastic_mm: NotNegative = 0.0,
        grid_mm: Positive = 40.0,
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
        self.args_names = [
            *("degrees", "scale", "shift", "elastic_mm", "grid_mm"),
            *("p_rotate", "p_scale", "p_elastic"),
        ]

    def apply_transform(self, subject: tio.Subject) -> tio.Subject:
        """Draw one map and resample every image of the subject with it."""
        warp = self.draw(subject.spatial_shape, subject.spacing)
        if warp is not None:
            subject = sharing(subject)
            images = self.get_images(subject)
            nearest = [isinstance(image, tio.LabelMap) for image in images]
            for image, data in zip(images, resample([i.data for i in images], nearest, warp), strict=True):
                image.set_data(data)
        return subject

    def draw(self, size: Sequence[int], spacing_mm: Sequence[float]) -> Warp | None:
        """A random map of a patch of `size` voxels along I, J, K; None where it would leave the patch as it is."""
        rotate, scale = happens(self.p_rotate) and self.degrees > 0, happens(self.p_scale) and self.scale > 0
        deform = happens(self.p_elastic) and self.elastic_mm > 0
        if not (rotate or scale or deform or self.shift > 0):
            return None
        turn = _rotation((torch.rand(3) * 2 - 1) * math.radians(self.degrees)) if rotate else torch.eye(3)
        factor = log_uniform(1 / (1 + self.scale), 1 + self.scale) if scale else 1.0
        # Rotate in millimetres, not in voxels, so that nothing is sheared.
        mm, extent = torch.tensor(spacing_mm, dtype=torch.float32), torch.tensor(size, dtype=torch.float32)
        matrix = turn / factor * mm / mm[:, None]
        centre = (extent - 1) / 2
        offset = centre - matrix @ centre + (torch.rand(3) * 2 - 1) * self.shift * extent
        weights, field = self._draw_field(size, spacing_mm, matrix) if deform else (None, None)
        return Warp(size, matrix.tolist(), offset.tolist(), weights, field)

    def _draw_field(self, size: Sequence[int], spacing_mm: Sequence[float], matrix: Tensor) -> tuple[Tensor, Tensor]:
        """An elastic displacement that comes before the rest of the map, as `Warp` takes it."""
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
