"""Bootstrap confidence interval of a mean over patients."""

import math

import numpy as np
from scipy import stats


def mean_interval(values: np.ndarray, alpha: float, resamples: int, seed: int) -> tuple[float, float]:
    """Bias-corrected and accelerated bootstrap interval (BCa; Efron 1987, doi:10.2307/2289144), widened for few values.

    The bootstrap takes the variance of n values for (n-1)/n of what it is and knows nothing of Student's t, so with ten
    values an interval of 95 % holds the truth in 90 % of cases only. Asking it for a higher level mends both
    (Hesterberg 2015, doi:10.1080/00031305.2015.1089789).

    Args:
        values: (n,), finite, in any order.
        alpha: How often such intervals miss the true mean, in (0, 1).
        resamples: Bootstrap samples.
        seed: Of the bootstrap. The same values give the same interval, whatever their order; those with all signs
            turned give it mirrored.

    Returns:
        Lower and upper end; NaN for fewer than two values.
    """
    n = len(values)
    if n < 2:
        return math.nan, math.nan
    sign = -1.0 if values.mean() < 0 else 1.0
    ordered = np.sort(sign * values)
    if math.isclose(ordered[0], ordered[-1], rel_tol=1e-9, abs_tol=1e-12):  # nothing to resample
        low = high = float(ordered.mean())
    else:
        low, high = _bootstrap(ordered, _widened(alpha, n), resamples, seed)
    return (low, high) if sign > 0 else (-high, -low)


def _bootstrap(values: np.ndarray, confidence: float, resamples: int, seed: int) -> tuple[float, float]:
    found = stats.bootstrap(
        (values,),
        np.mean,
        vectorized=True,
        confidence_level=confidence,
        n_resamples=resamples,
        batch=max(1, 2_000_000 // len(values)),  # or memory grows with patients times resamples
        method="BCa",
        rng=np.random.default_rng(seed),
    ).confidence_interval
    return float(found.low), float(found.high)


def _widened(alpha: float, n: int) -> float:
    """The confidence level to ask a bootstrap of n values for; of two values it takes the whole range."""
    return 1 - max(1e-9, 2 * float(stats.norm.sf(math.sqrt(n / (n - 1)) * stats.t.isf(alpha / 2, n - 1))))
