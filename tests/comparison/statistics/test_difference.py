import math
from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy import stats
from simulated import at_most, scores, within

from segment.comparison.statistics.difference import paired_difference

TRIALS = 120
DIFFICULTY = np.random.default_rng(7).normal(0.9, 0.05, 60)  # mean score of each patient
SCORES = arrays(float, st.tuples(st.integers(1, 3), st.just(7)), elements=st.floats(0, 1, width=16) | st.just(np.nan))


def compared(first, second, resamples=199):
    return paired_difference(first, second, 0.05, resamples, 0)


def is_claimed(found):
    return found.p <= 0.05 and not found.low <= 0 <= found.high


@pytest.mark.parametrize(
    ("seeds", "patients", "spread"),
    [
        ((1, 1), 12, {"own": 0.02, "chance": 0.01}),
        ((2, 2), 12, {"own": 0.01, "seed": 0.02}),
        ((3, 3), 20, {"own": 0.02, "seed": 0.01}),
        ((5, 5), 20, {"own": 0.005, "seed": 0.02}),
        ((1, 5), 20, {"own": 0.005, "seed": 0.02}),
    ],
    ids=["one seed", "two seeds", "three seeds", "five seeds", "one and five"],
)
def test_intervals_contain_the_true_difference_and_equal_recipes_rarely_differ_significantly(seeds, patients, spread):
    rng = np.random.default_rng(sum(seeds) + patients)
    hits = claims = 0
    for _ in range(TRIALS):
        shared = DIFFICULTY[:patients]
        first = scores(rng, seeds[0], patients, shared=shared, **spread)
        second = scores(rng, seeds[1], patients, shared=shared, **spread)
        found = compared(first, second + 0.03)
        hits += found.low <= 0.03 <= found.high
        claims += is_claimed(compared(first, second))
    assert at_most(TRIALS - hits, TRIALS, 0.05)
    assert at_most(claims, TRIALS, 0.05)


def test_wilcoxon_alone_would_mistake_seeds_for_recipes():
    """The reason for the second test: networks of one recipe with different seeds do differ."""
    rng = np.random.default_rng(3)
    pairs = [[scores(rng, 5, 20, own=0.005, seed=0.02, shared=DIFFICULTY[:20]) for _ in range(2)] for _ in range(100)]
    found = [compared(*pair) for pair in pairs]
    assert sum(one.p_patients <= 0.05 for one in found) > 50
    assert at_most(sum(one.p <= 0.05 for one in found), 100, 0.05)


def test_false_claims_are_rare_at_small_alphas_if_one_recipe_varies_much_more():
    """Holm's correction needs small alphas, at which Satterthwaite's t test of two seeds errs ten times too often."""
    rng = np.random.default_rng(4)
    noisy, trials, alpha = {"own": 0.005, "seed": 0.02}, 300, 0.004
    found = [
        compared(
            scores(rng, 2, 12, shared=DIFFICULTY[:12], **noisy),
            scores(rng, 2, 12, shared=DIFFICULTY[:12], own=0.005),
            resamples=9,
        )
        for _ in range(trials)
    ]
    assert at_most(sum(one.p_seeds <= alpha for one in found), trials, 2 * alpha)


@pytest.mark.parametrize(("seeds", "seed_sd"), [(1, 0.0), (5, 0.02)], ids=["one seed", "five seeds"])
def test_the_smallest_detectable_difference_is_found_in_80_percent_of_trials(seeds, seed_sd):
    rng = np.random.default_rng(5)
    patients, alpha, trials = 30, 0.01, 100
    pairs = [
        [scores(rng, seeds, patients, shared=DIFFICULTY[:patients], seed=seed_sd) for _ in range(2)]
        for _ in range(trials)
    ]
    detectable = float(np.median([compared(*pair, resamples=9).detectable(alpha) for pair in pairs]))
    found = sum(compared(first, second + detectable, resamples=9).p <= alpha for first, second in pairs)
    assert within(found, trials, 0.8, sigmas=4)


def test_difference_by_hand():
    first = np.array([[0.80, 0.70, 0.90, 0.60, 0.50, 0.75]])
    second = first + np.array([0.01, 0.02, 0.03, 0.04, 0.05, 0.06])
    found = compared(first, second)
    assert found.patients == 6
    assert found.mean == pytest.approx(0.035)
    assert found.sd == pytest.approx(math.sqrt(17.5 / 5) / 100)
    assert found.p_patients == pytest.approx(2 / 64)  # one of 64 sign assignments of six ranks, on two sides
    assert found.smallest_p == found.p_patients == found.p
    assert found.direction == 1
    assert found.error_seeds is None
    assert math.isnan(found.p_seeds)


def test_a_patients_score_is_the_mean_over_seeds():
    first = np.array([[0.8, 0.8], [0.6, 0.8]])
    second = np.array([[0.9, 0.9]])
    assert compared(first, second).mean == pytest.approx((0.2 + 0.1) / 2)


def test_patients_without_a_score_in_one_are_left_out():
    first = np.array([[0.8, np.nan, 0.7, 0.6]])
    second = np.array([[0.9, 0.9, np.nan, 0.7]])
    found = compared(first, second)
    assert found.patients == 2
    assert found.mean == pytest.approx(0.1)


@pytest.mark.parametrize("count", [0, 1])
def test_too_few_patients_give_nan(count):
    first = np.array([[0.8, 0.7]])
    second = np.where(np.arange(2) < count, first + 0.1, np.nan)
    found = compared(first, second)
    assert found.patients == count
    assert all(map(math.isnan, (found.p, found.low, found.detectable(0.05))))


def test_equal_scores_give_p_of_one_and_an_interval_of_zero():
    same = np.full((2, 9), 0.8)
    found = compared(same, same)
    assert (found.p, found.mean, found.low, found.high) == (1.0, 0.0, 0.0, 0.0)


def test_p_of_seeds_is_zero_if_neither_patients_nor_seeds_vary():
    same = np.full((2, 9), 0.8)
    found = compared(same, same + 0.1)
    assert found.p_seeds == 0
    assert found.p == found.p_patients == pytest.approx(2 / 2**9)


def test_five_patients_cannot_reach_five_percent():
    first = np.linspace(0.5, 0.9, 5)[None]
    found = compared(first, first + 0.1 + 0.01 * np.arange(5))
    assert found.p == found.smallest_p == pytest.approx(2 / 32)
    assert found.detectable(0.05) == math.inf


def test_differences_of_zero_keep_their_ranks():
    """Pratt: three zeros take ranks 1 to 3, the others 4 to 9; all 2^6 sign assignments are equally likely."""
    first = np.zeros((1, 9))
    second = np.array([[0, 0, 0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6]])
    assert compared(first, second).p == pytest.approx(2 / 64)


@pytest.mark.parametrize(("patients", "differing"), [(20, 4), (20, 6), (40, 5), (60, 7)])
def test_false_claims_are_rare_if_few_patients_differ_among_many_equal_ones(patients, differing):
    """As for networks that both find nothing, or everything, in most patients."""
    rng, trials, alpha = np.random.default_rng(6), 150, 0.05
    least, claims = 2.0 ** (1 - differing), {0.01: 0, alpha: 0}
    for _ in range(trials):
        second = np.zeros((1, patients))
        second[0, :differing] = rng.choice([-1, 1], differing) * rng.uniform(0.01, 0.3, differing)
        found = compared(np.zeros((1, patients)), second, resamples=9)
        assert found.p >= found.smallest_p == least
        for level in claims:
            claims[level] += found.p <= level
    for level, count in claims.items():
        assert at_most(count, trials, level)
        assert count == 0 or level >= least


@settings(max_examples=50)
@given(st.lists(st.integers(-4, 4), min_size=2, max_size=10))
def test_p_with_zeros_and_ties_equals_that_of_all_sign_assignments(steps):
    each = np.array(steps) / 10
    ranks = stats.rankdata(np.abs(each).round(9))[each != 0]
    seen = abs(float((ranks * np.sign(each[each != 0])).sum()))
    sums = [abs(sum(signs)) for signs in product(*((rank, -rank) for rank in ranks))]
    expected = sum(one >= seen - 1e-9 for one in sums) / len(sums) if seen else 1.0
    assert compared(np.zeros((1, len(each))), each[None], resamples=9).p == pytest.approx(expected)


@pytest.mark.parametrize(("patients", "method"), [(14, "exact"), (50, "exact"), (51, "asymptotic")])
def test_p_without_zeros_and_ties_equals_that_of_scipy(patients, method):
    each = np.random.default_rng(8).normal(0.005, 0.02, (1, patients))
    expected = stats.wilcoxon(each[0], correction=True, method=method).pvalue
    assert compared(np.zeros((1, patients)), each, resamples=9).p == pytest.approx(expected)


@settings(max_examples=25)
@given(SCORES, SCORES)
def test_swapping_two_recipes_changes_only_signs(first, second):
    forth, back = compared(first, second, 99), compared(second, first, 99)
    for one, other in ((forth.mean, -back.mean), (forth.p, back.p), (forth.detectable(0.05), back.detectable(0.05))):
        assert one == pytest.approx(other, abs=1e-9, nan_ok=True)
    assert forth.direction == -back.direction
    if abs(forth.mean) > 1e-6:
        assert (forth.low, forth.high) == pytest.approx((-back.high, -back.low), abs=1e-9, nan_ok=True)


@settings(max_examples=25)
@given(SCORES, SCORES, st.permutations(range(7)))
def test_the_order_of_patients_changes_nothing(first, second, order):
    found, other = compared(first, second, 99), compared(first[:, order], second[:, order], 99)
    for name in ("mean", "low", "high", "sd", "p", "patients", "direction"):
        assert getattr(found, name) == pytest.approx(getattr(other, name), abs=1e-9, nan_ok=True)
