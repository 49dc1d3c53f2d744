"""Learning curves that agree with the mean Dice at a few numbers of training CTs."""

from dataclasses import dataclass

import numpy as np

from segment.curve.scores import Means

# The shapes: Dice(n) = a - b (n + n0)^-c. An exponent of 0.5 to 1 is usual; with n0 the curve starts flat, and with n0
# and a large exponent it levels off like an exponential.
EXPONENTS = np.geomspace(0.25, 3, 24)
OFFSETS = (0, 0.25, 0.5, 1, 2)  # n0 in units of the largest number of training CTs
DRAWS = 150  # curves for each shape


@dataclass(frozen=True)
class Curves:
    """N curves that are equally likely after the trainings; none if no curve of the shapes agrees with them.

    Attributes:
        sizes: The smallest and the largest number of training CTs.
        first: (N,) Dice at the smallest.
        last: (N,) Dice at the largest, not below `first`.
        exponent: (N,) c.
        offset: (N,) n0.
    """

    sizes: tuple[float, float]
    first: np.ndarray
    last: np.ndarray
    exponent: np.ndarray
    offset: np.ndarray

    def at(self, size: float) -> np.ndarray:
        """(N,) Dice at a number of training CTs; infinity gives the level at which each curve ends."""
        rise = _rise(size, self.sizes, self.exponent, self.offset)
        return np.asarray(self.first + (self.last - self.first) * rise)

    def needed(self, target: float) -> np.ndarray:
        """(N,) number of training CTs at which each curve reaches a Dice; infinity if it does not."""
        low, high = (_fall(size, self.exponent, self.offset) for size in self.sizes)
        with np.errstate(divide="ignore", invalid="ignore"):
            left = low - (target - self.first) / (self.last - self.first) * (low - high)  # (n + n0)^-c at the target
            reached = left ** (-1 / self.exponent) - self.offset
        return np.where(left > 0, np.maximum(reached, 0), np.inf)


def fit(means: Means, seed: int) -> Curves:
    """Draw curves that agree with the means.

    Every shape of a grid is fitted by generalised least squares to the means. The curves are drawn from the
    uncertainty of the fits (t, with the covariance of the means), and each shape as often as the data supports it.
    Curves that fall, and curves that end above 1, are left out. The spread of the curves at a large number of CTs thus
    contains the uncertainty of the scores and that of the shape. In the words of statistics, it is the posterior under
    flat priors for the Dice at both ends, for the logarithm of c, and for the values of n0.

    The power law with n0 = 0 is that of Mukherjee et al. 2003 (doi:10.1089/106652703321825928), with weights by
    variance as in Figueroa et al. 2012 (doi:10.1186/1472-6947-12-8). Viering and Loog 2022 (arXiv 2103.10948) review
    both.

    Args:
        means: Of at least three numbers of CTs.
        seed: Of the draws.
    """
    random = np.random.default_rng(seed)
    sizes = (float(means.sizes[0]), float(means.sizes[-1]))
    exponents, offsets = (one.ravel() for one in np.meshgrid(EXPONENTS, np.multiply(OFFSETS, sizes[1])))
    weight, ends = _fit_shapes(means, _rise(means.sizes, sizes, exponents[:, None], offsets[:, None]), random)
    first, last = ends.reshape(-1, 2).T
    exponent, offset = np.repeat(exponents, DRAWS), np.repeat(offsets, DRAWS)
    drawn = Curves(sizes, first, last, exponent, offset)
    chance = np.repeat(weight, DRAWS) * ((first >= 0) & (last >= first) & (drawn.at(np.inf) <= 1))
    chosen = np.empty(0, int)
    if chance.any():
        chosen = random.choice(len(chance), len(chance), p=chance / chance.sum())
    return Curves(sizes, first[chosen], last[chosen], exponent[chosen], offset[chosen])


def _fit_shapes(means: Means, rise: np.ndarray, random: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """How well each shape fits, and draws of the Dice at both ends.

    Args:
        means: The means at S sizes.
        rise: (K,S) for each shape, the part of the way from the Dice at the smallest to that at the largest size.
        random: Generator of the draws.

    Returns:
        Marginal likelihood (K,) up to a factor, and draws (K,DRAWS,2) of the Dice at the smallest and largest size.
    """
    design = np.stack([1 - rise, rise], axis=-1)  # (K,S,2)
    information = np.linalg.inv(means.covariance)
    transposed = design.swapaxes(1, 2) @ information  # (K,2,S)
    covariance = np.linalg.inv(transposed @ design)  # (K,2,2)
    ends = covariance @ (transposed @ means.mean)[..., None]  # (K,2,1)
    residual = means.mean - (design @ ends)[..., 0]  # (K,S)
    misfit = np.einsum("ks,st,kt->k", residual, information, residual)
    freedom = means.freedom + len(means.sizes) - 2
    weight = np.sqrt(np.linalg.det(covariance)) * (1 + misfit / means.freedom) ** (-freedom / 2)
    scale = np.sqrt((means.freedom + misfit)[:, None] / random.chisquare(freedom, (len(rise), DRAWS)))
    noise = random.standard_normal((len(rise), DRAWS, 2)) @ np.linalg.cholesky(covariance).swapaxes(1, 2)
    return weight, ends.swapaxes(1, 2) + scale[..., None] * noise


def _fall(size: float | np.ndarray, exponent: np.ndarray, offset: np.ndarray) -> np.ndarray:
    return np.asarray((size + offset) ** -exponent)


def _rise(size: float | np.ndarray, sizes: tuple[float, float], exponent: np.ndarray, offset: np.ndarray) -> np.ndarray:
    """Part of the way from the Dice at the smallest to that at the largest size; above 1 for larger sizes."""
    low, high = (_fall(one, exponent, offset) for one in sizes)
    return np.asarray((low - _fall(size, exponent, offset)) / (low - high))
