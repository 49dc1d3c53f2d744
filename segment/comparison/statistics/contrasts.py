"""Scores and paired tests of all arms, organs and metrics, corrected for multiple testing."""

import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from segment.comparison.statistics.difference import Difference, paired_difference
from segment.comparison.statistics.mean import mean_interval, nan_means
from segment.comparison.statistics.seeds import StandardError, seed_means, seed_sd

Key = tuple[str, str]  # organ, metric


@dataclass(frozen=True)
class Scores:
    """Scores of one arm for one organ and metric.

    Attributes:
        values: (seeds, patients), NaN for a missing score.
        failed: (seeds, patients), true if only one of prediction and ground truth contains the organ.
    """

    values: np.ndarray
    failed: np.ndarray


@dataclass(frozen=True)
class Summary:
    """Mean score of one arm for one organ and metric.

    Attributes:
        patients: Number of patients with a score.
        seeds: Number of seeds.
        mean: Mean over patients; each patient's score is the mean over seeds.
        sd: Standard deviation over patients; NaN for fewer than two.
        low: Lower end of the mean's confidence interval, over patients and, if there are several, seeds.
        high: Upper end.
        seed_sd: Standard deviation of the seeds' means; NaN for one seed.
    """

    patients: int
    seeds: int
    mean: float
    sd: float
    low: float
    high: float
    seed_sd: float


@dataclass(frozen=True)
class Contrast:
    """One test: two arms, one organ, one metric.

    Attributes:
        first: Name of an arm.
        second: Name of another arm.
        organ: Name of the organ.
        metric: Name of the metric.
        difference: Second minus first.
        p_holm: p corrected for all tests of the comparison; NaN if nothing could be tested.
        detectable: Smallest true difference that is detected with a probability of 80 % at the alpha of Holm's first
            step; infinite if no possible difference is.
        excluded_failures: For each arm, the mean number per seed of failed patients that the paired differences leave
            out.
        better: Name of the arm that is significantly better; empty if neither is.
    """

    first: str
    second: str
    organ: str
    metric: str
    difference: Difference
    p_holm: float
    detectable: float
    excluded_failures: tuple[float, float]
    better: str


@dataclass(frozen=True)
class Settings:
    """Options of the tests.

    Attributes:
        alpha: Probability that a comparison of equal arms claims a difference, and that an interval misses the true
            value.
        resamples: Number of bootstrap samples.
        seed: Seed of the bootstrap.
        lower_is_better: Metrics for which a lower score is better.
        bounds: Lowest and highest possible score of each metric; intervals are clipped to them.
    """

    alpha: float
    resamples: int
    seed: int
    lower_is_better: Collection[str]
    bounds: Mapping[str, tuple[float, float]]


def summarise(scores: Scores, metric: str, settings: Settings) -> Summary:
    """Mean, standard deviations and confidence interval of one arm."""
    each = nan_means(scores.values, axis=0)
    each = each[~np.isnan(each)]
    mean = float(each.mean()) if len(each) else math.nan
    low, high = mean_interval(each, settings.alpha, settings.resamples, settings.seed)
    between_seeds = seed_sd(scores.values)
    if not math.isnan(between_seeds):
        repeats = int((~np.isnan(seed_means(scores.values))).sum())
        width = StandardError(between_seeds / math.sqrt(repeats), repeats - 1).half_width(settings.alpha)
        low, high = mean - math.hypot(mean - low, width), mean + math.hypot(high - mean, width)
    sd = float(each.std(ddof=1)) if len(each) > 1 else math.nan
    low, high = _clipped(low, high, settings.bounds[metric])
    return Summary(len(each), len(scores.values), mean, sd, low, high, between_seeds)


def compute_contrasts(
    arms: Mapping[str, Mapping[Key, Scores]], pairs: Sequence[tuple[str, str]], settings: Settings
) -> list[Contrast]:
    """Test every pair of arms on every organ and metric, and correct for all these tests together.

    Args:
        arms: Scores by arm. All arms have the same organs, metrics and patients, in the same order.
        pairs: First and second arm of each pair.
        settings: Options of the tests.
    """
    keys = [(first, second, key) for first, second in pairs for key in arms[first]]
    differences = []
    for first, second, key in keys:
        left, right = arms[first][key].values, arms[second][key].values
        differences.append(paired_difference(left, right, settings.alpha, settings.resamples, settings.seed))
    corrected = holm([difference.p for difference in differences])
    tests = sum(not math.isnan(difference.p) for difference in differences)
    first_step = settings.alpha / max(1, tests)
    results = []
    for (first, second, (organ, metric)), difference, p_holm in zip(keys, differences, corrected, strict=True):
        failures = _excluded_failures(arms[first][organ, metric], arms[second][organ, metric])
        smallest, largest = settings.bounds[metric]
        low, high = _clipped(difference.low, difference.high, (smallest - largest, largest - smallest))
        detectable = difference.detectable(first_step)
        if detectable > largest - smallest:
            detectable = math.inf
        clipped = replace(difference, low=low, high=high)
        contrast = Contrast(first, second, organ, metric, clipped, p_holm, detectable, failures, better="")
        results.append(replace(contrast, better=_better_arm(contrast, settings)))
    return results


def holm(p_values: Sequence[float]) -> list[float]:
    """Correct p-values for multiple testing.

    If every test with a corrected p of at most alpha counts as significant, the probability of one or more false
    claims is at most alpha. This is the step-down method of Holm (1979), Scandinavian Journal of Statistics 6:65: the
    smallest of m p-values is multiplied by m, the next by m-1, and so on. A corrected p is at least the one before it
    and at most 1.

    Args:
        p_values: In any order; NaN for a test that could not be made, which is not counted.

    Returns:
        Corrected values in the same order; NaN stays NaN.
    """
    ordered = sorted((p, index) for index, p in enumerate(p_values) if not math.isnan(p))
    corrected = [math.nan] * len(p_values)
    largest = 0.0
    for rank, (p, index) in enumerate(ordered):
        largest = max(largest, min(1.0, p * (len(ordered) - rank)))
        corrected[index] = largest
    return corrected


def _clipped(low: float, high: float, bounds: tuple[float, float]) -> tuple[float, float]:
    if math.isnan(low):
        return low, high
    return max(low, bounds[0]), min(high, bounds[1])


def _better_arm(contrast: Contrast, settings: Settings) -> str:
    """Name of the arm that is significantly better; empty if neither is, or if excluded failures contradict it."""
    sign = _significant_sign(contrast.difference, contrast.p_holm, settings.alpha)
    if contrast.metric in settings.lower_is_better:
        sign = -sign
    failures_first, failures_second = contrast.excluded_failures
    if sign > 0 and failures_second <= failures_first:
        return contrast.second
    if sign < 0 and failures_first <= failures_second:
        return contrast.first
    return ""


def _significant_sign(difference: Difference, p_holm: float, alpha: float) -> int:
    """1 if the second is significantly larger, -1 if the first is, else 0. Test and interval must agree."""
    excludes_zero = difference.low > 0 or difference.high < 0  # false for an interval of NaN
    if not p_holm <= alpha or not excludes_zero:
        return 0
    sign = 1 if difference.mean > 0 else -1
    return sign if sign == difference.direction else 0


def _excluded_failures(first: Scores, second: Scores) -> tuple[float, float]:
    """Failures of each arm, per seed, that are not part of the paired differences."""
    paired = ~np.isnan(nan_means(first.values, axis=0)) & ~np.isnan(nan_means(second.values, axis=0))
    return _failures_outside(first, paired), _failures_outside(second, paired)


def _failures_outside(scores: Scores, paired: np.ndarray) -> float:
    excluded = scores.failed & (np.isnan(scores.values) | ~paired)
    return float(excluded.sum(axis=1).mean())
