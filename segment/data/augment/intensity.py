"""Random changes of intensity, as between scanners, doses and contrast phases."""

import math
from abc import abstractmethod

import numpy as np
import torch
import torchio as tio
from torch import Tensor

from segment.bounds import Amounts, Factors, Share, in_range
from segment.data.augment.sampling import log_uniform, uniform
from segment.data.augment.subjects import shallow_copy


class IntensityChange(tio.IntensityTransform):  # type: ignore[misc]
    """Base class: changes each intensity image of a subject independently, as float32.

    Args:
        p: Probability that the transform is applied.
    """

    @in_range
    def __init__(self, p: Share) -> None:
        super().__init__(p=p, copy=False)

    def apply_transform(self, subject: tio.Subject) -> tio.Subject:
        """Change every intensity image."""
        subject = shallow_copy(subject)
        for image in self.get_images(subject):
            image.set_data(self.change(image.data.float()))
        return subject

    @abstractmethod
    def change(self, data: Tensor) -> Tensor:
        """Return the changed image (1,I,J,K) float32. `data`, of the same shape and type, must not be changed."""


class RandomNoise(IntensityChange):
    """Add white Gaussian noise.

    Args:
        deviation: Range [low, high] of its standard deviation in units of the preprocessed image, sampled uniformly.
        p: Probability that the transform is applied.
    """

    @in_range
    def __init__(self, deviation: Amounts, p: Share) -> None:
        super().__init__(p)
        self.deviation = deviation
        self.args_names = ["deviation"]

    def change(self, data: Tensor) -> Tensor:
        """Add noise."""
        deviation = uniform(*self.deviation)
        return torch.randn(data.shape).mul_(deviation).add_(data)


class RandomBrightness(IntensityChange):
    """Multiply all intensities by one factor.

    Args:
        factor: Range [low, high] of the factor, sampled log-uniformly.
        p: Probability that the transform is applied.
    """

    @in_range
    def __init__(self, factor: Factors, p: Share) -> None:
        super().__init__(p)
        self.factor = factor
        self.args_names = ["factor"]

    def change(self, data: Tensor) -> Tensor:
        """Multiply."""
        return data * log_uniform(*self.factor)


class RandomContrast(IntensityChange):
    """Multiply deviations from the image's mean by one factor, and clip the result to the image's range.

    Args:
        factor: Range [low, high] of the factor, sampled log-uniformly.
        p: Probability that the transform is applied.
    """

    @in_range
    def __init__(self, factor: Factors, p: Share) -> None:
        super().__init__(p)
        self.factor = factor
        self.args_names = ["factor"]

    def change(self, data: Tensor) -> Tensor:
        """Scale around the mean, and clip."""
        low, high = (float(value) for value in torch.aminmax(data))
        return data.mean().lerp(data, log_uniform(*self.factor)).clamp_(low, high)


class RandomGamma(IntensityChange):
    """Scale intensities to 0 … 1 and raise them to a power, then restore the image's mean and standard deviation.

    Args:
        gamma: Range [low, high] of the power, sampled log-uniformly. Above 1, differences among bright voxels grow.
        inverted: Apply the power to the negative image. Above 1, differences among dark voxels then grow.
        p: Probability that the transform is applied.
    """

    @in_range
    def __init__(self, gamma: Factors, inverted: bool, p: Share) -> None:
        super().__init__(p)
        self.gamma = gamma
        self.inverted = inverted
        self.args_names = ["gamma", "inverted"]

    def change(self, data: Tensor) -> Tensor:
        """Apply the power."""
        low, high = (float(value) for value in torch.aminmax(data))
        if low == high:
            return data
        mean = data.mean()
        deviation = _root_mean_square(data - mean)
        scaled = high - data if self.inverted else data - low
        power = _raise(scaled.div_(high - low), log_uniform(*self.gamma))
        power.sub_(power.mean())
        factor = deviation / _root_mean_square(power)
        return power.mul_(-factor if self.inverted else factor).add_(mean)


def _raise(data: Tensor, exponent: float) -> Tensor:
    """Raise numbers ≥ 0 to a power > 0, in place. Three times as fast as `pow`."""
    values = data.numpy()
    with np.errstate(divide="ignore"):  # log(0) is -inf, and exp2(-inf) is 0 again
        np.log(values, out=values)
    return data.mul_(exponent / math.log(2)).exp2_()


def _root_mean_square(data: Tensor) -> float:
    """Root mean square; for centred data, the standard deviation. Ten times as fast as `std`."""
    line = data.flatten()
    return math.sqrt(float(line.dot(line)) / line.numel())
