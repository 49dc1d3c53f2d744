"""Variation between seeds, that is, between repeated trainings of one recipe."""

import math
from dataclasses import dataclass

import numpy as np
from scipy import stats

from segment.comparison.statistics.mean import nan_means


@dataclass(frozen=True)
class StandardError:
    """A standard error and its degrees of freedom.

    Attributes:
        value: The standard error; 0 if nothing varies.
        dof: Degrees of freedom.
    """

    value: float
    dof: float

    def half_width(self, alpha: float) -> float:
        """Half the width of the t interval that misses the true value with probability alpha."""
        if self.value == 0:
            return 0.0
        return self.value * float(stats.t.isf(alpha / 2, self.dof))


def seed_means(scores: np.ndarray) -> np.ndarray:
    """Mean score of each seed, adjusted for missing scores.

    A patient without a score for one seed does not change that seed's mean. For example, a plain mean would rise if
    the missing patient is a difficult one. The adjusted mean is the mean over all patients plus the mean deviation of
    the seed from the patients' own means. Without NaN it equals the plain mean.

    Args:
        scores: (seeds, patients), NaN for a missing score.

    Returns:
        (seeds,); NaN for a seed without any score.
    """
    patients = nan_means(scores, axis=0)
    overall = float(nan_means(patients, axis=0))
    means: np.ndarray = overall + nan_means(scores - patients, axis=1)
    return means


def seed_sd(scores: np.ndarray) -> float:
    """Standard deviation of the seeds' means; NaN for fewer than two seeds."""
    sd, _ = _sd_and_count(scores)
    return sd


def seed_error(first: np.ndarray, second: np.ndarray) -> StandardError | None:
    """Standard error that the choice of seeds adds to the difference of two recipes' means.

    If only one recipe has several seeds, the seeds of the other are assumed to vary as much.

    Args:
        first: (seeds, patients) of one recipe.
        second: (seeds, patients) of the other; the number of seeds may differ.

    Returns:
        The error with Welch's degrees of freedom; None if neither recipe has several seeds.
    """
    sd, count = _sd_and_count(first)
    other_sd, other_count = _sd_and_count(second)
    if math.isnan(sd) and math.isnan(other_sd):
        return None
    if math.isnan(other_sd):
        return StandardError(sd * math.sqrt(1 / count + 1 / other_count), count - 1)
    if math.isnan(sd):
        return StandardError(other_sd * math.sqrt(1 / count + 1 / other_count), other_count - 1)
    return combined(
        StandardError(sd / math.sqrt(count), count - 1),
        StandardError(other_sd / math.sqrt(other_count), other_count - 1),
    )


def combined(*errors: StandardError) -> StandardError:
    """Standard error of a sum of independent parts.

    The degrees of freedom are those of Satterthwaite (1946, doi:10.2307/3002019).
    """
    square = sum(error.value**2 for error in errors)
    if square == 0:
        return StandardError(0.0, max(error.dof for error in errors))
    dof = square**2 / sum(error.value**4 / error.dof for error in errors)
    return StandardError(math.sqrt(square), dof)


def _sd_and_count(scores: np.ndarray) -> tuple[float, int]:
    """Standard deviation of the seeds' means, NaN for fewer than two, and the number of seeds with a score."""
    means = seed_means(scores)
    means = means[~np.isnan(means)]
    if len(means) < 2:
        return math.nan, len(means)
    return float(means.std(ddof=1)), len(means)
