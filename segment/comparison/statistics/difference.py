"""The difference of two recipes, tested on the same patients."""

import math
from dataclasses import dataclass

import numpy as np
from scipy import optimize, stats

from segment.comparison.statistics.average import nan_means
from segment.comparison.statistics.interval import mean_interval
from segment.comparison.statistics.seeds import Error, combined, seed_error

POWER = 0.8
_EXACT = 50  # values that are not zero, up to which p is counted out


@dataclass(frozen=True)
class Difference:
    """Second minus first. Everything but the counts is NaN where there are too few patients.

    Attributes:
        patients: Those with a score in both.
        mean: Mean over them of the difference of their scores, each a mean over seeds.
        low: Lower end of the confidence interval.
        high: Upper end.
        sd: Standard deviation of the differences over patients.
        error: Standard error of the mean from patients.
        seeds: Standard error from seeds; None without repeats: nobody knows then.
        p_patients: Of Wilcoxon's signed-rank test over patients.
        p_seeds: Of the test of patients and seeds; NaN without repeats.
        direction: Sign of the rank sums: 1 where the second tends to be larger, -1, or 0.
        smallest_p: What Wilcoxon's test could have reached with so many differences that are not zero.
    """

    patients: int
    mean: float
    low: float
    high: float
    sd: float
    error: Error
    seeds: Error | None
    p_patients: float
    p_seeds: float
    direction: int
    smallest_p: float

    @property
    def p(self) -> float:
        """What counts: a difference must stand out both among patients and, where known, against seeds."""
        return self.p_patients if math.isnan(self.p_seeds) else max(self.p_patients, self.p_seeds)

    def detectable(self, alpha: float) -> float:
        """Smallest true difference of means that is found with a probability of `POWER`.

        What a mean must exceed at alpha, plus t(POWER) standard errors, as for a paired t test, of which Wilcoxon's has
        nearly the power.

        Returns:
            Infinity where Wilcoxon's test cannot reach alpha with so few patients; NaN where nothing was tested.
        """
        if math.isnan(self.p_patients):
            return math.nan
        if self.smallest_p > alpha:
            return math.inf
        both = combined(self.error, self.seeds) if self.seeds else self.error
        return _half_width(alpha, self.error, self.seeds) + both.value * float(stats.t.ppf(POWER, both.freedom))


def difference(first: np.ndarray, second: np.ndarray, alpha: float, resamples: int, seed: int) -> Difference:
    """Compare two recipes on the same patients.

    Patients and seeds are crossed, like the cases and readers of reading studies. The interval takes the bootstrap's
    over patients and adds what seeds do by squares (the method of variance estimates recovery: Zou and Donner 2008,
    doi:10.1002/sim.3095). Seeds are not resampled: of two there are three resampled means, and their variance comes out
    as half of what it is. Chance that belongs neither to a patient nor to a seed alone is counted in both parts, which
    errs on the safe side, as the two-way bootstrap does (Owen 2007, doi:10.1214/07-AOAS122).

    Args:
        first: (seeds, patients), NaN where there is no score.
        second: (other seeds, the same patients).
        alpha: How often the interval misses the true difference, in (0, 1).
        resamples: Bootstrap samples.
        seed: Of the bootstrap.
    """
    paired = nan_means(second, axis=0) - nan_means(first, axis=0)
    known = ~np.isnan(paired)
    # Digits that are only rounding would make ranks of what is equal.
    each = paired[known].round(12)
    count = len(each)
    mean = float(each.mean()) if count else math.nan
    if count < 2:
        nan = math.nan
        return Difference(count, mean, nan, nan, nan, Error(nan, nan), None, nan, nan, 0, 1.0)
    error = Error(float(each.std(ddof=1)) / math.sqrt(count), count - 1)
    seeds = seed_error(first[:, known], second[:, known])
    low, high = mean_interval(each, alpha, resamples, seed)
    width = seeds.half_width(alpha) if seeds else 0.0
    ranks = float((stats.rankdata(np.abs(each)) * np.sign(each)).sum())
    return Difference(
        patients=count,
        mean=mean,
        low=mean - math.hypot(mean - low, width),
        high=mean + math.hypot(high - mean, width),
        sd=float(each.std(ddof=1)),
        error=error,
        seeds=seeds,
        p_patients=_wilcoxon(each),
        p_seeds=_seed_test(mean, error, seeds) if seeds else math.nan,
        direction=(ranks > 0) - (ranks < 0),
        smallest_p=min(1.0, 2.0 ** (1 - np.count_nonzero(each))),
    )


def _wilcoxon(each: np.ndarray) -> float:
    """Two-sided p of the signed-rank test (Wilcoxon 1945); zeros keep their ranks (Pratt 1959).

    Exact where up to 50 patients are not zero, whatever ties and zeros there are, else by the normal distribution
    corrected for continuity. With few that are not zero among many, the normal one falls below the least p possible.
    """
    if not each.any():
        return 1.0
    if np.count_nonzero(each) <= _EXACT:
        return _exact(each)
    return float(stats.wilcoxon(each, zero_method="pratt", correction=True, method="asymptotic").pvalue)


def _exact(each: np.ndarray) -> float:
    """The share of all ways to sign the ranks, ties and zeros as they are, that lie as far out on either side."""
    ranks = np.rint(2 * stats.rankdata(np.abs(each))).astype(int)  # doubled, since ties share halves
    chances = np.ones(1)  # of every sum of positive ranks
    for rank in ranks[each != 0]:
        chances = (np.pad(chances, (0, rank)) + np.pad(chances, (rank, 0))) / 2
    positive, negative = ranks[each > 0].sum(), ranks[each < 0].sum()
    return min(1.0, 2 * float(chances[max(positive, negative) :].sum()))


def _seed_test(mean: float, error: Error, seeds: Error) -> float:
    """The alpha at which the interval of patients and seeds, by t for both, touches zero.

    A t test with Satterthwaite's degrees of freedom would take the many patients' for the few seeds' and claim, at the
    small alphas that Holm's correction asks for, several times too often.
    """
    tiny = 1e-12
    if error.value == seeds.value == 0:
        return 1.0 if mean == 0 else 0.0
    if _half_width(tiny, error, seeds) <= abs(mean):
        return tiny
    return float(optimize.brentq(lambda alpha: _half_width(alpha, error, seeds) - abs(mean), tiny, 1.0))


def _half_width(alpha: float, error: Error, seeds: Error | None) -> float:
    return math.hypot(error.half_width(alpha), seeds.half_width(alpha) if seeds else 0.0)
