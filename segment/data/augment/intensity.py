"""Changes of intensity: what differs between scanners, doses and contrast phases."""

import math
from abc import abstractmethod
from collections.abc import Sequence

import torch
import torchio as tio
from torch import Tensor

from segment.data.augment.draw import checked_range, log_uniform, uniform
from segment.data.augment.share import sharing


class IntensityChange(tio.IntensityTransform):  # type: ignore[misc]
    """Changes every intensity image of a subject on its own, as float32.

    Args:
        p: Probability that the transform is applied.
    """

    def __init__(self, p: float) -> None:
        super().__init__(p=p, copy=False)

    def apply_transform(self, subject: tio.Subject) -> tio.Subject:
        """Change every intensity image."""
        subject = sharing(subject)
        for image in self.get_images(subject):
            image.set_data(self.change(image.data.to(torch.float32, copy=True)))
        return subject

    @abstractmethod
    def change(self, data: Tensor) -> Tensor:
        """The changed image (1,I,J,K); may overwrite the given one."""


class RandomNoise(IntensityChange):
    """Add white Gaussian noise.

    Args:
        deviation: Range [low, high] of its standard deviation, drawn uniformly; in units of the preprocessed image.
        p: Probability that the transform is applied.
    """

    def __init__(self, deviation: Sequence[float], p: float) -> None:
        super().__init__(p)
        self.deviation = checked_range("deviation", deviation)
        self.args_names = ["deviation"]

    def change(self, data: Tensor) -> Tensor:
        """Add noise."""
        return add_noise(data, uniform(*self.deviation))


class RandomBrightness(IntensityChange):
    """Multiply all intensities by one factor.

    Args:
        factor: Range [low, high] of the factor, drawn log-uniformly.
        p: Probability that the transform is applied.
    """

    def __init__(self, factor: Sequence[float], p: float) -> None:
        super().__init__(p)
        self.factor = checked_range("factor", factor, low=0.01)
        self.args_names = ["factor"]

    def change(self, data: Tensor) -> Tensor:
        """Multiply."""
        return data.mul_(log_uniform(*self.factor))


class RandomContrast(IntensityChange):
    """Multiply deviations from the image's mean by one factor; what leaves the image's range is clipped to it.

    Args:
        factor: Range [low, high] of the factor, drawn log-uniformly.
        p: Probability that the transform is applied.
    """

    def __init__(self, factor: Sequence[float], p: float) -> None:
        super().__init__(p)
        self.factor = checked_range("factor", factor, low=0.01)
        self.args_names = ["factor"]

    def change(self, data: Tensor) -> Tensor:
        """Stretch or squeeze around the mean."""
        low, high = (float(value) for value in torch.aminmax(data))
        return change_contrast(data, log_uniform(*self.factor)).clamp_(low, high)


class RandomGamma(IntensityChange):
    """Raise intensities, scaled to 0 … 1, to a power; mean and standard deviation are then set back to what they were.

    Args:
        gamma: Range [low, high] of the power, drawn log-uniformly. Above 1, differences among bright voxels grow.
        inverted: Do it on the negative, where differences among dark voxels grow instead.
        p: Probability that the transform is applied.
    """

    def __init__(self, gamma: Sequence[float], inverted: bool, p: float) -> None:
        super().__init__(p)
        self.gamma = checked_range("gamma", gamma, low=0.01)
        self.inverted = inverted
        self.args_names = ["gamma", "inverted"]

    def change(self, data: Tensor) -> Tensor:
        """Apply the power."""
        low, high = (float(value) for value in torch.aminmax(data))
        if low == high:
            return data
        mean = float(data.mean())
        deviation = _centre(data)
        start, width = (high - mean, low - high) if self.inverted else (low - mean, high - low)
        # Through the logarithm, which takes half the time of pow; it maps 0 to 0, too.
        data.sub_(start).div_(width).log2_().mul_(log_uniform(*self.gamma)).exp2_()
        factor = deviation / _centre(data)
        return data.mul_(-factor if self.inverted else factor).add_(mean)


def add_noise(data: Tensor, deviation: float) -> Tensor:
    """Add white noise of this standard deviation, in place."""
    return data.add_(torch.randn(data.shape), alpha=deviation)


def change_contrast(data: Tensor, factor: float) -> Tensor:
    """Multiply deviations from the mean, in place."""
    return data.mul_(factor).add_((1 - factor) / factor * data.mean())


def _centre(data: Tensor) -> float:
    """Subtract the mean in place and return the standard deviation; a tenth of the time of `std`."""
    line = data.sub_(data.mean()).flatten()
    return math.sqrt(float(line.dot(line)) / line.numel())
