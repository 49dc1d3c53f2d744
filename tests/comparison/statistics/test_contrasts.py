import math

import numpy as np
import pytest
from simulated import at_most, scores

from segment.comparison.statistics.contrasts import Scores, Settings, contrasts, summarise

BOUNDS = {"dice": (0.0, 1.0), "nsd": (0.0, 1.0), "hd95_mm": (0.0, math.inf)}
SETTINGS = Settings(alpha=0.05, resamples=99, seed=0, lower_is_better=("hd95_mm",), bounds=BOUNDS)
HARD = np.random.default_rng(7).normal(0.9, 0.05, 20)


def plain(values):
    return Scores(np.asarray(values, float), np.zeros(np.shape(values), bool))


def one(first, second, metric="dice", failed=None):
    """The contrast of two arms with one organ."""
    arms = {"A": {("liver", metric): first}, "B": {("liver", metric): second}}
    (contrast,) = contrasts(arms, [("A", "B")], SETTINGS)
    return contrast


def test_five_seeds_against_themselves_are_told_apart_once_in_twenty_comparisons_at_most():
    """All tests of a comparison together: four organs of three metrics, which vary together as they do in truth."""
    rng = np.random.default_rng(0)
    trials, fooled = 40, 0
    for _ in range(trials):
        arms = {}
        for letter in "AB":
            dice = [scores(rng, 5, 20, own=0.005, seed=0.01, shared=HARD) for _ in range(4)]
            arms[letter] = {
                (organ, metric): plain(scale * values + rng.normal(0, 0.002, values.shape))
                for organ, values in enumerate(dice)
                for metric, scale in (("dice", 1), ("hd95_mm", -60), ("nsd", 0.9))
            }
        fooled += any(contrast.better for contrast in contrasts(arms, [("A", "B")], SETTINGS))
    assert at_most(fooled, trials, 0.05)


def test_a_crippled_recipe_is_found():
    rng = np.random.default_rng(1)
    good, bad = (scores(rng, 3, 20, mean, own=0.01, seed=0.004, shared=HARD) for mean in (0.0, -0.05))
    assert one(plain(good), plain(bad)).better == "A"
    assert one(plain(bad), plain(good)).better == "B"


def test_of_distances_the_smaller_is_better():
    rng = np.random.default_rng(1)
    near, far = (scores(rng, 3, 20, mean, own=0.3, seed=0.1) for mean in (2.0, 5.0))
    assert one(plain(near), plain(far), "hd95_mm").better == "A"


def test_failures_that_the_pairs_leave_out_forbid_the_claim():
    """Where a network finds nothing there is no distance: what is left would make it look better than it is."""
    near, far = np.full((1, 12), 2.0), np.full((1, 12), 5.0) + np.arange(12) / 10
    failed = np.zeros((1, 12), bool)
    assert one(Scores(near, failed), Scores(far, failed), "hd95_mm").better == "A"
    failed, near = failed.copy(), near.copy()
    failed[0, :2], near[0, :2] = True, np.nan
    contrast = one(Scores(near, failed), plain(far), "hd95_mm")
    assert contrast.better == ""
    assert contrast.p_holm < 0.05
    assert contrast.hidden == (2, 0)
    assert one(plain(near), Scores(far, failed), "hd95_mm").better == "A"


def test_all_tests_are_corrected_together():
    first = np.full((1, 10), 0.8)
    second = first + np.arange(1, 11) / 100
    arms = {
        "A": {("liver", "dice"): plain(first), ("spleen", "dice"): plain(first)},
        "B": {("liver", "dice"): plain(second), ("spleen", "dice"): plain(first)},
    }
    liver, spleen = contrasts(arms, [("A", "B")], SETTINGS)
    assert liver.p_holm == pytest.approx(2 * 2 / 2**10)
    assert spleen.p_holm == 1
    # The smallest detectable difference is that of Holm's first step: alpha/2 here.
    assert liver.detectable == pytest.approx(liver.difference.detectable(0.025))


def test_mean_and_median_that_disagree_are_no_claim():
    """Many small steps up and few large ones down: the test says up, the mean down."""
    second = np.array([[0.01] * 30 + [-0.3, -0.31, -0.32]]) + np.arange(33) / 1e5
    contrast = one(plain(np.zeros((1, 33))), plain(second))
    assert contrast.difference.mean < 0 < contrast.difference.direction
    assert contrast.better == ""


def test_an_interval_that_is_not_known_stops_a_claim(monkeypatch):
    first, second = np.full((1, 12), 0.8), np.full((1, 12), 0.9) + np.arange(12) / 1000
    assert one(plain(first), plain(second)).better == "B"
    monkeypatch.setattr("segment.comparison.statistics.difference.mean_interval", lambda *_: (math.nan, math.nan))
    contrast = one(plain(first), plain(second))
    assert contrast.p_holm < 0.05
    assert contrast.better == ""


def test_a_summary_by_hand():
    summary = summarise(plain([[0.9, 0.7, np.nan], [0.8, 0.6, np.nan]]), "dice", SETTINGS)
    assert (summary.patients, summary.seeds) == (2, 2)
    assert summary.mean == pytest.approx(0.75)
    assert summary.sd == pytest.approx(0.2 / math.sqrt(2))
    assert summary.seed_sd == pytest.approx(0.1 / math.sqrt(2))
    assert summary.low < 0.65 < 0.85 < summary.high


def test_an_organ_that_nobody_has_has_no_summary():
    summary = summarise(plain([[np.nan, np.nan]]), "dice", SETTINGS)
    assert summary.patients == 0
    assert math.isnan(summary.mean)
    assert math.isnan(summary.low)


def test_intervals_end_where_scores_do_and_no_larger_difference_is_asked_for():
    """Two seeds that agree on nothing: t of one degree of freedom reaches far beyond all Dice."""
    first, second = (plain([np.full(9, low) + np.arange(9) / 1000, np.full(9, 0.9)]) for low in (0.1, 0.2))
    summary = summarise(first, "dice", SETTINGS)
    assert (summary.low, summary.high) == (0, 1)
    contrast = one(first, second)
    assert (contrast.difference.low, contrast.difference.high) == (-1, 1)
    assert contrast.detectable == math.inf
