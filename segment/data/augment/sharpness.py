"""Loss of sharpness: a smooth kernel, thick slices."""

from collections.abc import Sequence

import torch
from torch import Tensor

from segment.bounds import Amounts, Share, Shares, in_range
from segment.data.augment.banded import apply_banded
from segment.data.augment.draw import uniform
from segment.data.augment.intensity import IntensityChange
from segment.errors import UserError
from segment.preprocess.resample import centred_positions, linear_weights


class RandomBlur(IntensityChange):
    """Blur by a Gaussian.

    Args:
        sigma: Range [low, high] of its standard deviation in voxels, drawn uniformly for each axis.
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
    """Average over larger voxels, as a coarser scan does, then interpolate linearly back to the grid.

    Args:
        scale: Range [low, high] of the share of voxels that is left along an axis, drawn uniformly, in (0, 1].
        p: Probability that the transform is applied.
        axes: Axes that lose resolution, all by the same share; [2] for thick slices.
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
        """Coarser and back."""
        scale = uniform(*self.scale)
        coarse = [max(1, round(n * scale)) if axis in self.axes else n for axis, n in enumerate(data.shape[1:])]
        return apply_banded(data, [_there_and_back(n, m) for n, m in zip(data.shape[1:], coarse, strict=True)])


def _there_and_back(size: int, coarse: int) -> Tensor:
    """Matrix (size, size) that averages a line of voxels to `coarse` ones and interpolates linearly between them."""
    there = linear_weights(size, centred_positions(size, coarse), width=size / coarse)
    return linear_weights(coarse, centred_positions(coarse, size)) @ there


def _gaussian_weights(size: int, sigma: float) -> Tensor:
    """Matrix (size, size) that blurs a line of voxels; at the ends the weights inside are scaled up to a sum of 1."""
    distance = torch.arange(size)
    profile = torch.exp(-0.5 * (distance / max(sigma, 1e-3)) ** 2)
    weights = profile[(distance[:, None] - distance).abs()]
    return weights / weights.sum(dim=1, keepdim=True)
