"""Difference between two recipes, tested on the same patients."""

import math
from dataclasses import dataclass

import numpy as np
from scipy import optimize, stats

from segment.comparison.statistics.mean import mean_interval, nan_means
from segment.comparison.statistics.seeds import StandardError, combined, seed_error

POWER = 0.8
_MOST_EXACT = 50  # nonzero differences up to which the exact p is computed


@dataclass(frozen=True)
class Difference:
    """Scores of the second recipe minus those of the first.

    With fewer than two patients, the interval, the errors and the p-values are NaN.

    Attributes:
        patients: Number of patients with a score in both.
        mean: Mean difference over these patients; each score is a mean over seeds.
        low: Lower end of the confidence interval.
        high: Upper end.
        sd: Standard deviation of the differences over patients.
        error_patients: Standard error of the mean from patients.
        error_seeds: Standard error from seeds; None if neither recipe has several seeds.
        p_patients: p of Wilcoxon's signed-rank test over patients.
        p_seeds: p of the test of patients and seeds; NaN if neither recipe has several seeds.
        direction: Sign of the rank sum: 1 if the second tends to be larger, -1 if smaller, else 0.
        differing: Number of patients whose difference is not zero.
    """

    patients: int
    mean: float
    low: float
    high: float
    sd: float
    error_patients: StandardError
    error_seeds: StandardError | None
    p_patients: float
    p_seeds: float
    direction: int
    differing: int

    @property
    def smallest_p(self) -> float:
        """Smallest p that Wilcoxon's test can reach with this number of nonzero differences."""
        return min(1.0, 2.0 ** (1 - self.differing))

    @property
    def p(self) -> float:
        """The larger p of the two tests: a difference must be significant over patients and, if known, over seeds."""
        if math.isnan(self.p_seeds):
            return self.p_patients
        return max(self.p_patients, self.p_seeds)

    def detectable(self, alpha: float) -> float:
        """Smallest true difference of means that is detected with probability `POWER`.

        It is the critical value at alpha plus t(POWER) standard errors, as for a paired t test. Wilcoxon's test has
        nearly the same power.

        Returns:
            Infinity if Wilcoxon's test cannot reach alpha with so few patients; NaN if nothing was tested.
        """
        if math.isnan(self.p_patients):
            return math.nan
        if self.smallest_p > alpha:
            return math.inf
        error = self.error_patients
        if self.error_seeds is not None:
            error = combined(self.error_patients, self.error_seeds)
        critical = _half_width(alpha, self.error_patients, self.error_seeds)
        return critical + error.value * float(stats.t.ppf(POWER, error.dof))


def paired_difference(first: np.ndarray, second: np.ndarray, alpha: float, resamples: int, seed: int) -> Difference:
    """Compare two recipes on the same patients.

    Patients and seeds are crossed factors, like cases and readers in reading studies. The interval combines the
    bootstrap interval over patients with the t interval over seeds by adding squared half-widths (method of variance
    estimates recovery: Zou and Donner 2008, doi:10.1002/sim.3095). Seeds are not resampled: two seeds have only three
    resampled means, whose variance is half of the true one. Variation that is due to neither patient nor seed alone is
    counted in both parts. The interval is therefore conservative, like that of the two-way bootstrap (Owen 2007,
    doi:10.1214/07-AOAS122).

    Args:
        first: (seeds, patients), NaN for a missing score.
        second: (seeds, patients) with the same patients; the number of seeds may differ.
        alpha: Probability that the interval misses the true difference, in (0, 1).
        resamples: Number of bootstrap samples.
        seed: Seed of the bootstrap.
    """
    paired = nan_means(second, axis=0) - nan_means(first, axis=0)
    known = ~np.isnan(paired)
    # Rounded: equal differences must get equal ranks despite floating-point error.
    each = paired[known].round(12)
    count = len(each)
    mean = float(each.mean()) if count else math.nan
    if count < 2:
        nan = math.nan
        return Difference(count, mean, nan, nan, nan, StandardError(nan, nan), None, nan, nan, 0, 0)
    sd = float(each.std(ddof=1))
    error_patients = StandardError(sd / math.sqrt(count), count - 1)
    error_seeds = seed_error(first[:, known], second[:, known])
    low, high = mean_interval(each, alpha, resamples, seed)
    width, p_seeds = 0.0, math.nan
    if error_seeds is not None:
        width = error_seeds.half_width(alpha)
        p_seeds = _seed_test(mean, error_patients, error_seeds)
    rank_sum = float((stats.rankdata(np.abs(each)) * np.sign(each)).sum())
    return Difference(
        patients=count,
        mean=mean,
        low=mean - math.hypot(mean - low, width),
        high=mean + math.hypot(high - mean, width),
        sd=sd,
        error_patients=error_patients,
        error_seeds=error_seeds,
        p_patients=_wilcoxon(each),
        p_seeds=p_seeds,
        direction=(rank_sum > 0) - (rank_sum < 0),
        differing=int(np.count_nonzero(each)),
    )


def _wilcoxon(each: np.ndarray) -> float:
    """Two-sided p of the signed-rank test (Wilcoxon 1945); zeros keep their ranks (Pratt 1959).

    The p is exact for up to 50 nonzero differences, with any ties and zeros. For more it is that of the normal
    approximation with continuity correction. With few nonzero differences among many zeros, the approximation would
    fall below the smallest possible p.
    """
    if not each.any():
        return 1.0
    if np.count_nonzero(each) <= _MOST_EXACT:
        return _exact(each)
    return float(stats.wilcoxon(each, zero_method="pratt", correction=True, method="asymptotic").pvalue)


def _exact(each: np.ndarray) -> float:
    """Share of all sign assignments whose rank sum is at least as extreme as the observed one, on either side."""
    ranks = np.rint(2 * stats.rankdata(np.abs(each))).astype(int)  # doubled, because tied ranks can end in .5
    probabilities = np.ones(1)  # entry s is the probability that the positive ranks add up to s
    for rank in ranks[each != 0]:
        probabilities = (np.pad(probabilities, (0, rank)) + np.pad(probabilities, (rank, 0))) / 2
    positive, negative = ranks[each > 0].sum(), ranks[each < 0].sum()
    return min(1.0, 2 * float(probabilities[max(positive, negative) :].sum()))


def _seed_test(mean: float, error_patients: StandardError, error_seeds: StandardError) -> float:
    """The alpha at which the t interval over patients and seeds just reaches zero.

    A t test with Satterthwaite's degrees of freedom would give the few seeds some of the many degrees of freedom of the
    patients. At the small alphas of Holm's correction it would claim a difference several times too often.
    """
    tiny = 1e-12
    if error_patients.value == error_seeds.value == 0:
        return 1.0 if mean == 0 else 0.0
    if _half_width(tiny, error_patients, error_seeds) <= abs(mean):
        return tiny

    def excess(alpha: float) -> float:
        return _half_width(alpha, error_patients, error_seeds) - abs(mean)

    return float(optimize.brentq(excess, tiny, 1.0))


def _half_width(alpha: float, error_patients: StandardError, error_seeds: StandardError | None) -> float:
    if error_seeds is None:
        return error_patients.half_width(alpha)
    return math.hypot(error_patients.half_width(alpha), error_seeds.half_width(alpha))
