"""Random loss of sharpness, as from a smooth kernel or thick slices."""

from collections.abc import Sequence

import torch
from torch import Tensor

from segment.bounds import Amounts, Share, Shares, in_range
from segment.data.augment.banded import apply_banded
from segment.data.augment.intensity import IntensityChange
from segment.data.augment.sampling import uniform
from segment.errors import UserError
from segment.preprocess.separable import centred_positions, linear_weights


class RandomBlur(IntensityChange):
    """Blur by a Gaussian.

    Args:
        sigma: Range [low, high] of its standard deviation in voxels, sampled uniformly for each axis.
        p: Probability that the transform is applied.
    """

    @in_range
    def __init__(self, sigma: Amounts, p: Share) -> None:
        super().__init__(p)
        self.sigma = sigma
        self.args_names = ["sigma"]

    def change(self, data: Tensor) -> Tensor:
        """Blur along every axis."""
        return apply_banded(data, [_gaussian_weights(n, uniform(*self.sigma)) for n in data.shape[1:]])


class RandomLowResolution(IntensityChange):
    """Average over larger voxels, as a coarser scan does, then interpolate linearly back to the original grid.

    Args:
        scale: Range [low, high] of the share of voxels left along an axis, in (0, 1], sampled uniformly.
        p: Probability that the transform is applied.
        axes: Axes that lose resolution, all by the same share. For example, [2] gives thick slices.
    """

    @in_range
    def __init__(self, scale: Shares, p: Share, axes: Sequence[int] = (0, 1, 2)) -> None:
        super().__init__(p)
        if not axes or not set(axes) <= {0, 1, 2}:
            msg = f"axes is {list(axes)}; give one or more of 0, 1 and 2"
            raise UserError(msg)
        self.scale = scale
        self.axes = sorted(set(axes))
        self.args_names = ["scale", "axes"]

    def change(self, data: Tensor) -> Tensor:
        """Average and interpolate back."""
        scale = uniform(*self.scale)
        weights = []
        for axis, size in enumerate(data.shape[1:]):
            coarse = max(1, round(size * scale)) if axis in self.axes else size
            weights.append(_coarse_and_back(size, coarse))
        return apply_banded(data, weights)


def _coarse_and_back(size: int, coarse: int) -> Tensor:
    """Matrix (size, size) that averages a line of voxels to `coarse` voxels and interpolates linearly between them."""
    average = linear_weights(size, centred_positions(size, coarse), width=size / coarse)
    interpolate = linear_weights(coarse, centred_positions(coarse, size))
    return interpolate @ average


def _gaussian_weights(size: int, sigma: float) -> Tensor:
    """Matrix (size, size) that blurs a line of voxels. Rows are cut off at its ends and scaled to sum to 1."""
    distance = torch.arange(size)
    profile = torch.exp(-0.5 * (distance / max(sigma, 1e-3)) ** 2)
    weights = profile[(distance[:, None] - distance).abs()]
    return weights / weights.sum(dim=1, keepdim=True)
