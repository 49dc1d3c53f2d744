"""Repeats of one recipe: what patients get on average, and what the choice of the seed alone does to the mean."""

import math
from dataclasses import dataclass

import numpy as np
from scipy import stats

from segment.comparison.statistics.average import nan_means


@dataclass(frozen=True)
class Error:
    """A standard error and how well it is known.

    Attributes:
        value: The standard error; 0 where nothing varies.
        freedom: Its degrees of freedom.
    """

    value: float
    freedom: float

    def half_width(self, alpha: float) -> float:
        """Half of the t interval that misses the truth with a probability of alpha."""
        return self.value * float(stats.t.isf(alpha / 2, self.freedom)) if self.value else 0.0


def seed_means(scores: np.ndarray) -> np.ndarray:
    """Mean score of each seed.

    A patient for whom one seed has no score does not move that seed's mean: it is the mean over patients of how far the
    seed lies from the patient's own mean, put upon the mean of these. Without NaN that is the plain mean.

    Args:
        scores: (seeds, patients), NaN where there is none.

    Returns:
        (seeds,); NaN for a seed without any score.
    """
    patients = nan_means(scores, axis=0)
    level = float(nan_means(patients, axis=0))
    means: np.ndarray = level + nan_means(scores - patients, axis=1)
    return means


def seed_sd(scores: np.ndarray) -> float:
    """Standard deviation of the seeds' means; NaN for fewer than two seeds."""
    return _spread(scores)[0]


def seed_error(first: np.ndarray, second: np.ndarray) -> Error | None:
    """What seeds add to the standard error of a difference of two recipes' means.

    Where only one recipe has repeats, the other's one seed is taken to vary as much.

    Args:
        first: (seeds, patients) of one recipe.
        second: (seeds, patients) of the other, with seeds of its own.

    Returns:
        Degrees of freedom are Welch's. None without repeats: nobody knows then.
    """
    (sd, count), (other_sd, other_count) = _spread(first), _spread(second)
    if math.isnan(sd) and math.isnan(other_sd):
        return None
    if math.isnan(sd) or math.isnan(other_sd):
        known, repeats = (other_sd, other_count) if math.isnan(sd) else (sd, count)
        return Error(known * math.sqrt(1 / count + 1 / other_count), repeats - 1)
    return combined(Error(sd / math.sqrt(count), count - 1), Error(other_sd / math.sqrt(other_count), other_count - 1))


def _spread(scores: np.ndarray) -> tuple[float, int]:
    """Standard deviation of the seeds' means, and how many there are."""
    means = seed_means(scores)
    means = means[~np.isnan(means)]
    return float(means.std(ddof=1)) if len(means) > 1 else math.nan, len(means)


def combined(*errors: Error) -> Error:
    """Error of a sum of independent parts, with the degrees of freedom of Satterthwaite (1946, doi:10.2307/3002019)."""
    square = sum(error.value**2 for error in errors)
    if square == 0:
        return Error(0.0, max(error.freedom for error in errors))
    freedom = square**2 / sum(error.value**4 / error.freedom for error in errors)
    return Error(math.sqrt(square), freedom)
