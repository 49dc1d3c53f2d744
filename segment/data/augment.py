"""Random transforms of patches, cheap enough for two cores; each follows TorchIO's interface."""

import math
from collections.abc import Sequence

import torch
import torchio as tio
from torch import Tensor
from torch.nn import functional as F  # noqa: N812


class RandomSpatial(tio.SpatialTransform):  # type: ignore[misc]
    """Rotate, scale and shift a patch in one resampling of image and label.

    The image is interpolated linearly and padded with its border, the label by nearest neighbour. Nothing is
    mirrored: right stays right.

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
        theta = self._draw(subject.spatial_shape)
        for image in self.get_images(subject):
            data = image.data[None]
            grid = F.affine_grid(theta[None], list(data.shape), align_corners=False)
            mode = "nearest" if isinstance(image, tio.LabelMap) else "bilinear"
            sampled = F.grid_sample(data.float(), grid, mode=mode, padding_mode="border", align_corners=False)
            image.set_data(sampled[0].to(image.data.dtype))
        return subject

    def _draw(self, size: Sequence[int]) -> Tensor:
        """(3,4) map in grid_sample's coordinates: x,y,z of [-1, 1], which run along K, J, I."""
        angles = (torch.rand(3) * 2 - 1) * math.radians(self.degrees)
        factor = (1 + self.scale) ** float(torch.rand(()) * 2 - 1)
        turn = _rotation(angles) / factor
        # Rotate in voxels, not in the unit cube, so that a patch with unequal sides is not sheared.
        half = torch.tensor([size[2], size[1], size[0]], dtype=torch.float32) / 2
        linear = turn * half[None, :] / half[:, None]
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
        self.each = p
        self.args_names = ["contrast", "brightness", "noise", "blur", "each"]

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
                data = _blur(data, float(torch.rand(())) * self.blur)
            image.set_data(data)
        return subject

    def _happens(self) -> bool:
        return float(torch.rand(())) < self.each


def _rotation(angles: Tensor) -> Tensor:
    """Rotation (3,3) by angles (3,) in radians about x, then y, then z."""
    (cx, cy, cz), (sx, sy, sz) = torch.cos(angles).tolist(), torch.sin(angles).tolist()
    about_x = torch.tensor([[1, 0, 0], [0, cx, -sx], [0, sx, cx]])
    about_y = torch.tensor([[cy, 0, sy], [0, 1, 0], [-sy, 0, cy]])
    about_z = torch.tensor([[cz, -sz, 0], [sz, cz, 0], [0, 0, 1]])
    return about_z @ about_y @ about_x


def _blur(data: Tensor, sigma: float) -> Tensor:
    """Gaussian blur of (1,I,J,K), separable, with repeated borders."""
    radius = math.ceil(3 * sigma)
    if radius == 0:
        return data
    x = torch.arange(-radius, radius + 1, dtype=torch.float32)
    kernel = torch.exp(-0.5 * (x / sigma) ** 2)
    kernel = kernel / kernel.sum()
    for axis in (1, 2, 3):
        line = data.movedim(axis, -1)
        flat = F.pad(line.reshape(-1, 1, line.shape[-1]), (radius, radius), mode="replicate")
        data = F.conv1d(flat, kernel[None, None]).reshape(line.shape).movedim(-1, axis)
    return data
