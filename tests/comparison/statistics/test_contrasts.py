import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from simulated import at_most, scores

from segment.comparison.statistics.contrasts import Scores, Settings, compute_contrasts, holm, summarise

BOUNDS = {"dice": (0.0, 1.0), "nsd": (0.0, 1.0), "hd95_mm": (0.0, math.inf)}
SETTINGS = Settings(alpha=0.05, resamples=99, seed=0, lower_is_better=("hd95_mm",), bounds=BOUNDS)
DIFFICULTY = np.random.default_rng(7).normal(0.9, 0.05, 20)  # mean score of each patient
P_VALUES = st.lists(st.floats(0, 1), min_size=1, max_size=8)


def without_failures(values):
    return Scores(np.asarray(values, float), np.zeros(np.shape(values), bool))


def contrast_of(first, second, metric="dice"):
    """The contrast of two arms with one organ."""
    arms = {"A": {("liver", metric): first}, "B": {("liver", metric): second}}
    (contrast,) = compute_contrasts(arms, [("A", "B")], SETTINGS)
    return contrast


def test_five_seeds_of_one_recipe_differ_significantly_in_at_most_one_of_twenty_comparisons():
    """All tests of a comparison together: four organs with three metrics, which are correlated as in real runs."""
    rng = np.random.default_rng(0)
    trials, false_claims = 40, 0
    for _ in range(trials):
        arms = {}
        for letter in "AB":
            dice = [scores(rng, 5, 20, own=0.005, seed=0.01, shared=DIFFICULTY) for _ in range(4)]
            arms[letter] = {
                (organ, metric): without_failures(scale * values + rng.normal(0, 0.002, values.shape))
                for organ, values in enumerate(dice)
                for metric, scale in (("dice", 1), ("hd95_mm", -60), ("nsd", 0.9))
            }
        false_claims += any(contrast.better for contrast in compute_contrasts(arms, [("A", "B")], SETTINGS))
    assert at_most(false_claims, trials, 0.05)


def test_a_worse_recipe_is_found():
    rng = np.random.default_rng(1)
    good, bad = (scores(rng, 3, 20, mean, own=0.01, seed=0.004, shared=DIFFICULTY) for mean in (0.0, -0.05))
    assert contrast_of(without_failures(good), without_failures(bad)).better == "A"
    assert contrast_of(without_failures(bad), without_failures(good)).better == "B"


def test_a_smaller_distance_is_better():
    rng = np.random.default_rng(1)
    near, far = (scores(rng, 3, 20, mean, own=0.3, seed=0.1) for mean in (2.0, 5.0))
    assert contrast_of(without_failures(near), without_failures(far), "hd95_mm").better == "A"


def test_failures_that_the_pairs_leave_out_prevent_a_claim():
    """A network that finds nothing in a patient has no distance there, so its other patients flatter it."""
    near, far = np.full((1, 12), 2.0), np.full((1, 12), 5.0) + np.arange(12) / 10
    failed = np.zeros((1, 12), bool)
    assert contrast_of(Scores(near, failed), Scores(far, failed), "hd95_mm").better == "A"
    failed, near = failed.copy(), near.copy()
    failed[0, :2], near[0, :2] = True, np.nan
    contrast = contrast_of(Scores(near, failed), without_failures(far), "hd95_mm")
    assert contrast.better == ""
    assert contrast.p_holm < 0.05
    assert contrast.excluded_failures == (2, 0)
    assert contrast_of(without_failures(near), Scores(far, failed), "hd95_mm").better == "A"


def test_all_tests_are_corrected_together():
    first = np.full((1, 10), 0.8)
    second = first + np.arange(1, 11) / 100
    arms = {
        "A": {("liver", "dice"): without_failures(first), ("spleen", "dice"): without_failures(first)},
        "B": {("liver", "dice"): without_failures(second), ("spleen", "dice"): without_failures(first)},
    }
    liver, spleen = compute_contrasts(arms, [("A", "B")], SETTINGS)
    assert liver.p_holm == pytest.approx(2 * 2 / 2**10)
    assert spleen.p_holm == 1
    # The smallest detectable difference is that of Holm's first step: alpha/2 here.
    assert liver.detectable == pytest.approx(liver.difference.detectable(0.025))


def test_a_mean_and_ranks_of_opposite_sign_are_no_claim():
    """With many small increases and few large decreases, the ranks go up and the mean goes down."""
    second = np.array([[0.01] * 30 + [-0.3, -0.31, -0.32]]) + np.arange(33) / 1e5
    contrast = contrast_of(without_failures(np.zeros((1, 33))), without_failures(second))
    assert contrast.difference.mean < 0 < contrast.difference.direction
    assert contrast.better == ""


def test_an_unknown_interval_prevents_a_claim(monkeypatch):
    first, second = np.full((1, 12), 0.8), np.full((1, 12), 0.9) + np.arange(12) / 1000
    assert contrast_of(without_failures(first), without_failures(second)).better == "B"
    monkeypatch.setattr("segment.comparison.statistics.difference.mean_interval", lambda *_: (math.nan, math.nan))
    contrast = contrast_of(without_failures(first), without_failures(second))
    assert contrast.p_holm < 0.05
    assert contrast.better == ""


def test_summary_by_hand():
    summary = summarise(without_failures([[0.9, 0.7, np.nan], [0.8, 0.6, np.nan]]), "dice", SETTINGS)
    assert (summary.patients, summary.seeds) == (2, 2)
    assert summary.mean == pytest.approx(0.75)
    assert summary.sd == pytest.approx(0.2 / math.sqrt(2))
    assert summary.seed_sd == pytest.approx(0.1 / math.sqrt(2))
    assert summary.low < 0.65 < 0.85 < summary.high


def test_the_summary_of_an_organ_without_scores_is_nan():
    summary = summarise(without_failures([[np.nan, np.nan]]), "dice", SETTINGS)
    assert summary.patients == 0
    assert math.isnan(summary.mean)
    assert math.isnan(summary.low)


def test_intervals_and_detectable_differences_stay_within_the_possible_scores():
    """Two seeds that differ widely: the t interval with one degree of freedom reaches far beyond [0, 1]."""
    first, second = (without_failures([np.full(9, low) + np.arange(9) / 1000, np.full(9, 0.9)]) for low in (0.1, 0.2))
    summary = summarise(first, "dice", SETTINGS)
    assert (summary.low, summary.high) == (0, 1)
    contrast = contrast_of(first, second)
    assert (contrast.difference.low, contrast.difference.high) == (-1, 1)
    assert contrast.detectable == math.inf


def test_holm_by_hand():
    # Sorted: 0.005·4 = 0.02, 0.01·3 = 0.03, 0.03·2 = 0.06, 0.04·1 = 0.04, raised to the 0.06 before it.
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])


def test_holm_does_not_count_a_test_of_nan():
    first, missing, second = holm([0.02, math.nan, 0.5])
    assert (first, second) == pytest.approx((0.04, 0.5))
    assert math.isnan(missing)


def test_holm_is_at_most_one_and_accepts_no_tests():
    assert holm([0.6, 0.9]) == [1.0, 1.0]
    assert holm([]) == []


@given(P_VALUES)
def test_holm_agrees_with_the_step_down_rule(p_values):
    """Holm's wording: go through the sorted p-values until the first that exceeds alpha/(m-k)."""
    alpha, m = 0.05, len(p_values)
    claimed = set()
    for k, index in enumerate(np.argsort(p_values, kind="stable")):
        if p_values[index] * (m - k) > alpha:
            break
        claimed.add(index)
    corrected = holm(p_values)
    assert {i for i in range(m) if corrected[i] <= alpha} == claimed or len(set(p_values)) < m


@given(P_VALUES, st.randoms())
def test_holm_does_not_depend_on_the_order(p_values, random):
    order = random.sample(range(len(p_values)), len(p_values))
    corrected = holm(p_values)
    assert holm([p_values[i] for i in order]) == pytest.approx([corrected[i] for i in order])
