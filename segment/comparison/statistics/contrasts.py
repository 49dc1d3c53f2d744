"""All arms, organs and metrics at once: what each reaches, how pairs differ, and what may be claimed."""

import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from segment.comparison.statistics.average import nan_means
from segment.comparison.statistics.difference import Difference, difference
from segment.comparison.statistics.holm import holm
from segment.comparison.statistics.interval import mean_interval
from segment.comparison.statistics.seeds import Error, seed_means, seed_sd

Key = tuple[str, str]  # organ, metric


@dataclass(frozen=True)
class Scores:
    """Scores of one arm for one organ and metric.

    Attributes:
        values: (seeds, patients), NaN where there is no score.
        failed: Of the same shape: whether only one of truth and prediction has the organ.
    """

    values: np.ndarray
    failed: np.ndarray


@dataclass(frozen=True)
class Summary:
    """What one arm reaches for one organ and metric.

    Attributes:
        patients: Those with a score.
        seeds: Repeats.
        mean: Over patients, each the mean of its seeds.
        sd: Standard deviation over patients; NaN for fewer than two.
        low: Lower end of the mean's confidence interval, of patients and, where there are repeats, seeds.
        high: Upper end.
        seed_sd: Standard deviation of the seeds' means; NaN without repeats.
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
        second: Name of another.
        organ: The organ.
        metric: The metric.
        difference: Second minus first.
        p_holm: p corrected for all tests of the comparison; NaN where nothing could be tested.
        detectable: Smallest true difference that had a chance of 80 % to be found at the alpha of Holm's first step;
            infinite where there is none.
        hidden: Per arm, failures among what the pairs leave out, a patient counted once for each seed over seeds.
        better: Name of the arm that may be called better; empty when the two cannot be told apart.
    """

    first: str
    second: str
    organ: str
    metric: str
    difference: Difference
    p_holm: float
    detectable: float
    hidden: tuple[float, float]
    better: str


@dataclass(frozen=True)
class Settings:
    """How to test.

    Attributes:
        alpha: How often a comparison of equals may claim a difference, and an interval miss the truth.
        resamples: Bootstrap samples.
        seed: Of the bootstrap.
        lower_is_better: Metrics of which that holds.
        bounds: Smallest and largest possible score by metric; what lies beyond is cut off intervals.
    """

    alpha: float
    resamples: int
    seed: int
    lower_is_better: Collection[str]
    bounds: Mapping[str, tuple[float, float]]


def summarise(scores: Scores, metric: str, settings: Settings) -> Summary:
    """Mean, spreads and interval of one arm."""
    each = nan_means(scores.values, axis=0)
    each = each[~np.isnan(each)]
    mean = float(each.mean()) if len(each) else math.nan
    low, high = mean_interval(each, settings.alpha, settings.resamples, settings.seed)
    spread = seed_sd(scores.values)
    if not math.isnan(spread):
        repeats = int((~np.isnan(seed_means(scores.values))).sum())
        width = Error(spread / math.sqrt(repeats), repeats - 1).half_width(settings.alpha)
        low, high = mean - math.hypot(mean - low, width), mean + math.hypot(high - mean, width)
    sd = float(each.std(ddof=1)) if len(each) > 1 else math.nan
    low, high = _within(settings.bounds[metric], low, high)
    return Summary(len(each), len(scores.values), mean, sd, low, high, spread)


def contrasts(
    arms: Mapping[str, Mapping[Key, Scores]], pairs: Sequence[tuple[str, str]], settings: Settings
) -> list[Contrast]:
    """Test every pair of arms on every organ and metric, and correct for all these tests together.

    Args:
        arms: Scores by arm; of every arm the same patients in the same order, organs and metrics.
        pairs: First and second arm.
        settings: How to test.
    """
    keys = [(first, second, organ, metric) for first, second in pairs for organ, metric in arms[first]]
    found = [
        difference(
            arms[first][organ, metric].values,
            arms[second][organ, metric].values,
            settings.alpha,
            settings.resamples,
            settings.seed,
        )
        for first, second, organ, metric in keys
    ]
    corrected = holm([one.p for one in found])
    first_step = settings.alpha / max(1, sum(not math.isnan(one.p) for one in found))
    results = []
    for (first, second, organ, metric), one, p_holm in zip(keys, found, corrected, strict=True):
        hidden = _hidden(arms[first][organ, metric], arms[second][organ, metric])
        sign = _claimed(one, p_holm, settings.alpha)
        if metric in settings.lower_is_better:
            sign = -sign
        better = {1: second, -1: first, 0: ""}[sign]
        # The pairs left out would speak against it.
        if (better == second and hidden[1] > hidden[0]) or (better == first and hidden[0] > hidden[1]):
            better = ""
        smallest, largest = settings.bounds[metric]
        low, high = _within((smallest - largest, largest - smallest), one.low, one.high)
        detectable = one.detectable(first_step)
        if detectable > largest - smallest:
            detectable = math.inf
        results.append(
            Contrast(first, second, organ, metric, replace(one, low=low, high=high), p_holm, detectable, hidden, better)
        )
    return results


def _within(bounds: tuple[float, float], low: float, high: float) -> tuple[float, float]:
    if math.isnan(low):
        return low, high
    return max(low, bounds[0]), min(high, bounds[1])


def _claimed(one: Difference, p_holm: float, alpha: float) -> int:
    """1 when the second may be called larger, -1 when the first may, else 0: test and interval must agree."""
    if not p_holm <= alpha or not (one.low > 0 or one.high < 0):  # an interval that is not known stops it, too
        return 0
    sign = 1 if one.mean > 0 else -1
    return sign if sign == one.direction else 0


def _hidden(first: Scores, second: Scores) -> tuple[float, float]:
    """Failures of each arm, per seed, that have no part in the paired differences."""
    known = ~np.isnan(nan_means(first.values, axis=0)) & ~np.isnan(nan_means(second.values, axis=0))
    left, right = (
        float((scores.failed & (np.isnan(scores.values) | ~known)).sum(axis=1).mean()) for scores in (first, second)
    )
    return left, right
