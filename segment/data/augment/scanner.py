"""Four gentle changes of intensity in one transform."""

import torch
from torch import Tensor

from segment.data.augment.draw import checked_range, happens, log_uniform, uniform
from segment.data.augment.intensity import IntensityChange, add_noise, change_contrast
from segment.data.augment.sharpness import gaussian_blur


class RandomIntensity(IntensityChange):
    """Change contrast and brightness, add noise, blur: what differs between scanners and phases.

    Args:
        contrast: Deviations from the mean are multiplied by a factor log-uniform in 1 / (1 + contrast) … 1 + contrast.
        brightness: A normal shift with this standard deviation is added.
        noise: White noise is added, its standard deviation uniform in [0, noise].
        blur: Standard deviation of a Gaussian blur in voxels, uniform in [0, blur].
        p: Probability of each of the four, drawn independently.
    """

    def __init__(self, contrast: float, brightness: float, noise: float, blur: float, p: float) -> None:
        super().__init__(p=1)
        for name, value in {"contrast": contrast, "brightness": brightness, "noise": noise, "blur": blur}.items():
            checked_range(name, [0, value])
        checked_range("p", [0, p], high=1)
        self.contrast = contrast
        self.brightness = brightness
        self.noise = noise
        self.blur = blur
        self.p = p
        self.args_names = ["contrast", "brightness", "noise", "blur", "p"]

    def change(self, data: Tensor) -> Tensor:
        """Draw and apply the four."""
        if happens(self.p):
            data = change_contrast(data, log_uniform(1 / (1 + self.contrast), 1 + self.contrast))
        if happens(self.p):
            data = data + torch.randn(()) * self.brightness
        if happens(self.p):
            data = add_noise(data, uniform(0, self.noise))
        if happens(self.p):
            data = gaussian_blur(data, [uniform(0, self.blur)] * 3)
        return data
