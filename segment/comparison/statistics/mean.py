"""Means over patients and their bootstrap confidence intervals."""

import math

import numpy as np
from scipy import stats


def nan_means(values: np.ndarray, axis: int) -> np.ndarray:
    """Means along an axis, ignoring NaN. If all values along the axis are NaN, so is the mean, without a warning."""
    known = ~np.isnan(values)
    count = known.sum(axis=axis)
    total = np.where(known, values, 0.0).sum(axis=axis)
    means: np.ndarray = np.where(count > 0, total / np.maximum(count, 1), np.nan)
    return means


def mean_interval(values: np.ndarray, alpha: float, resamples: int, seed: int) -> tuple[float, float]:
    """Bootstrap confidence interval of a mean, widened for few values.

    The interval is bias-corrected and accelerated (BCa; Efron 1987, doi:10.2307/2289144). By itself it is too narrow
    for few values: the bootstrap underestimates the variance of n values by the factor (n-1)/n and uses the normal
    distribution instead of Student's t. With ten values, an interval of 95 % contains the true mean in only 90 % of
    cases. A higher confidence level corrects both (Hesterberg 2015, doi:10.1080/00031305.2015.1089789).

    No bootstrap interval reaches beyond the values. The mean of a symmetric distribution lies outside of all n values
    with probability 2^(1-n). Where that is more than alpha, as for fewer than six values and 95 %, the interval also
    covers Student's t interval.

    The order of the values does not change the interval. Values with opposite signs give the mirrored interval.

    Args:
        values: (n,), finite, in any order.
        alpha: Probability that the interval misses the true mean, in (0, 1).
        resamples: Number of bootstrap samples.
        seed: Seed of the bootstrap.

    Returns:
        Lower and upper end; NaN for fewer than two values.
    """
    n = len(values)
    if n < 2:
        return math.nan, math.nan
    sign = -1.0 if values.mean() < 0 else 1.0
    ordered = np.sort(sign * values)
    if math.isclose(ordered[0], ordered[-1], rel_tol=1e-9, abs_tol=1e-12):  # all equal: BCa is undefined
        low = high = float(ordered.mean())
    else:
        low, high = _bootstrap(ordered, _widened_level(alpha, n), resamples, seed)
        if 2.0 ** (1 - n) > alpha:
            mean, half = float(ordered.mean()), float(stats.t.isf(alpha / 2, n - 1) * stats.sem(ordered))
            low, high = min(low, mean - half), max(high, mean + half)
    return (low, high) if sign > 0 else (-high, -low)


def _bootstrap(values: np.ndarray, confidence: float, resamples: int, seed: int) -> tuple[float, float]:
    interval = stats.bootstrap(
        (values,),
        np.mean,
        vectorized=True,
        confidence_level=confidence,
        n_resamples=resamples,
        batch=max(1, 2_000_000 // len(values)),  # without it, the memory would grow with patients times resamples
        method="BCa",
        rng=np.random.default_rng(seed),
    ).confidence_interval
    return float(interval.low), float(interval.high)


def _widened_level(alpha: float, n: int) -> float:
    """Confidence level to request from a bootstrap of n values; for two values, almost 1."""
    tail = float(stats.norm.sf(math.sqrt(n / (n - 1)) * stats.t.isf(alpha / 2, n - 1)))
    return 1 - max(1e-9, 2 * tail)
