"""Random transforms of patches, cheap enough for two cores; each follows TorchIO's interface."""

import math
from collections.abc import Sequence

import torch
import torchio as tio
from torch import Tensor

from segment.data.resample import apply_along_axes


class RandomSpatial(tio.SpatialTransform):  # type: ignore[misc]
    """Rotate, scale and shift a patch in one resampling of image and label.

    The image is interpolated linearly and padded with its border, the label by nearest neighbour. Angles are true in
    millimetres, whatever the voxel size. Nothing is mirrored: right stays right.

    Args:
        degrees: Rotation about each axis is uniform in ± this many degrees.
        scale: Size is multiplied by a factor log-uniform in 1 / (1 + scale) … 1 + scale.
        shift: Shift along each axis is uniform in ± this share of the patch.
        p: Probability that the transform is applied.
    """

    def __init__(self, degrees: float, scale: float, shift: float = 0.0, p: float = 1.0) -> None:
        super().__init__(p=p)
        self.degrees = degrees
        self.scale = scale
        self.shift = shift
        self.args_names = ["degrees", "scale", "shift"]

    def apply_transform(self, subject: tio.Subject) -> tio.Subject:
        """Draw one map and resample every image of the subject with it."""
        size, spacing_mm = subject.spatial_shape, subject.spacing
        places = _places(self._draw([n * mm for n, mm in zip(size, spacing_mm, strict=True)]), size)
        for image in self.get_images(subject):
            resample = _nearest if isinstance(image, tio.LabelMap) else _linear
            image.set_data(resample(image.data, places))
        return subject

    def _draw(self, extent_mm: Sequence[float]) -> Tensor:
        """Map (3,4) of where voxels come from, along I, J, K in units of half the patch from its centre."""
        angles = (torch.rand(3) * 2 - 1) * math.radians(self.degrees)
        factor = (1 + self.scale) ** float(torch.rand(()) * 2 - 1)
        # Rotate in millimetres, not in the unit cube, so that a patch with unequal sides is not sheared.
        extent = torch.tensor(extent_mm, dtype=torch.float32)
        linear = _rotation(angles) / factor * extent[None, :] / extent[:, None]
        return torch.cat([linear, ((torch.rand(3) * 2 - 1) * 2 * self.shift)[:, None]], dim=1)


class RandomIntensity(tio.IntensityTransform):  # type: ignore[misc]
    """Change contrast and brightness, add noise, blur: what differs between scanners and phases.

    Args:
        contrast: Deviations from the mean are multiplied by a factor log-uniform in 1 / (1 + contrast) … 1 + contrast.
        brightness: A normal shift with this standard deviation is added.
        noise: White noise is added, its standard deviation uniform in [0, noise].
        blur: Standard deviation of a Gaussian blur in voxels, uniform in [0, blur].
        p: Probability of each of the four, drawn independently.
    """

    def __init__(self, contrast: float, brightness: float, noise: float, blur: float, p: float) -> None:
        super().__init__()
        self.contrast = contrast
        self.brightness = brightness
        self.noise = noise
        self.blur = blur
        self.p = p
        self.args_names = ["contrast", "brightness", "noise", "blur", "p"]

    def apply_transform(self, subject: tio.Subject) -> tio.Subject:
        """Change every intensity image."""
        for image in self.get_images(subject):
            data = image.data.float()
            if self._happens():
                mean = data.mean()
                data = (data - mean) * (1 + self.contrast) ** float(torch.rand(()) * 2 - 1) + mean
            if self._happens():
                data = data + torch.randn(()) * self.brightness
            if self._happens():
                data = data + torch.randn_like(data) * (torch.rand(()) * self.noise)
            if self._happens():
                sigma = float(torch.rand(())) * self.blur
                data = apply_along_axes(data, [_gaussian_weights(n, sigma) for n in data.shape[1:]])
            image.set_data(data)
        return subject

    def _happens(self) -> bool:
        return float(torch.rand(())) < self.p


def _rotation(angles: Tensor) -> Tensor:
    """Rotation (3,3) by angles (3,) in radians about I, then J, then K."""
    (cx, cy, cz), (sx, sy, sz) = torch.cos(angles).tolist(), torch.sin(angles).tolist()
    about_i = torch.tensor([[1, 0, 0], [0, cx, -sx], [0, sx, cx]])
    about_j = torch.tensor([[cy, 0, sy], [0, 1, 0], [-sy, 0, cy]])
    about_k = torch.tensor([[cz, -sz, 0], [sz, cz, 0], [0, 0, 1]])
    return about_k @ about_j @ about_i


def _places(theta: Tensor, size: Sequence[int]) -> Tensor:
    """Where every voxel comes from, in voxels (3,I,J,K); beyond the border the nearest place on it."""
    i, j, k = ((2 * torch.arange(n) + 1) / n - 1 for n in size)
    places = torch.empty(3, *size)
    for row, n, place in zip(theta.tolist(), size, places, strict=True):
        torch.add((row[0] * i + row[3])[:, None, None] + (row[1] * j)[:, None], row[2] * k, out=place)
        place.add_(1).mul_(n / 2).sub_(0.5).clamp_(0, n - 1)
    return places


def _nearest(data: Tensor, places: Tensor) -> Tensor:
    """Nearest voxels of (1,I,J,K) at (3,I,J,K); dtype and values are kept."""
    index = _flat_index([(place + 0.5).int() for place in places], data.shape[1:])
    return data.flatten().index_select(0, index).reshape(data.shape)


def _linear(data: Tensor, places: Tensor) -> Tensor:
    """Trilinear interpolation of (1,I,J,K) at (3,I,J,K), float32; twice as fast as grid_sample on one CPU core."""
    size = data.shape[1:]
    low = [place.int().clamp_(max=max(n - 2, 0)) for place, n in zip(places, size, strict=True)]
    along_i, along_j, along_k = ((place - corner).flatten() for place, corner in zip(places, low, strict=True))
    index = _flat_index(low, size)
    # To the next voxel along I, J, K; an axis of one voxel has none.
    i, j, k = (step * (n > 1) for step, n in zip((size[1] * size[2], size[2], 1), size, strict=True))
    line = data.float().flatten()

    def pair(start: int) -> Tensor:
        here, beside = (line[first:].index_select(0, index) for first in (start, start + k))
        return here.lerp_(beside, along_k)

    lower, upper = (pair(start).lerp_(pair(start + j), along_j) for start in (0, i))
    return lower.lerp_(upper, along_i).reshape(data.shape)


def _flat_index(voxel: Sequence[Tensor], size: Sequence[int]) -> Tensor:
    """Place in the flattened volume of voxels given by their I, J and K, which are overwritten."""
    i, j, k = voxel
    return i.mul_(size[1]).add_(j).mul_(size[2]).add_(k).flatten()


def _gaussian_weights(size: int, sigma: float) -> Tensor:
    """Matrix (size, size) that blurs a line of voxels; at the ends the weights inside are scaled up to a sum of 1."""
    places = torch.arange(size, dtype=torch.float32)
    weights = torch.exp(-0.5 * ((places[:, None] - places) / max(sigma, 1e-3)) ** 2)
    return weights / weights.sum(dim=1, keepdim=True)
