import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from simulated import within

from segment.comparison.statistics.mean import mean_interval

VALUES = st.lists(st.floats(-1, 1, width=32), min_size=2, max_size=12)


@pytest.mark.parametrize("patients", [2, 4, 5])
def test_an_interval_of_few_values_is_at_least_students(patients):
    values = np.random.default_rng(patients).normal(0.9, 0.05, patients)
    low, high = mean_interval(values, 0.05, 499, 0)
    expected = stats.ttest_1samp(values, 0).confidence_interval(0.95)
    assert low <= expected.low + 1e-12
    assert high >= expected.high - 1e-12


@pytest.mark.parametrize("patients", [3, 8, 25])
def test_an_interval_of_95_percent_contains_the_true_mean_in_95_percent_of_samples(patients):
    rng = np.random.default_rng(patients)
    trials = 500
    samples = rng.normal(0.9, 0.05, (trials, patients))
    intervals = [mean_interval(sample, 0.05, 499, 0) for sample in samples]
    hits = sum(low <= 0.9 <= high for low, high in intervals)
    assert within(hits, trials, 0.95)


def test_a_plain_bootstrap_is_too_narrow_for_few_patients():
    """The reason for the widening: without it, intervals of eight patients contain the mean in 90 %."""
    samples = np.random.default_rng(8).normal(0.9, 0.05, (500, 8))
    found = stats.bootstrap((samples,), np.mean, axis=1, n_resamples=499, rng=np.random.default_rng(0))
    low, high = found.confidence_interval
    assert not within(int(((low <= 0.9) & (high >= 0.9)).sum()), 500, 0.95)


def test_the_interval_of_skewed_scores_is_skewed_and_contains_the_mean_nearly_as_often():
    """Dice near 1 has a long left tail of failures; 20 patients are too few to estimate its length."""
    rng = np.random.default_rng(1)
    trials, true_mean = 500, 1 - 0.04 * math.exp(0.8**2 / 2)
    samples = 1 - 0.04 * rng.lognormal(0, 0.8, (trials, 20))
    intervals = np.array([mean_interval(sample, 0.05, 499, 0) for sample in samples])
    hits = int(((intervals[:, 0] <= true_mean) & (intervals[:, 1] >= true_mean)).sum())
    assert hits >= 0.86 * trials
    means = samples.mean(axis=1)
    assert ((means - intervals[:, 0]) > (intervals[:, 1] - means)).mean() > 0.9


def test_the_interval_of_equal_values_is_a_point():
    assert mean_interval(np.full(5, 0.3), 0.05, 999, 0) == pytest.approx((0.3, 0.3))


@pytest.mark.parametrize("values", [[], [0.5]])
def test_fewer_than_two_patients_have_no_interval(values):
    assert all(math.isnan(end) for end in mean_interval(np.array(values), 0.05, 999, 0))


@settings(max_examples=25)
@given(VALUES, st.randoms())
def test_the_order_of_patients_does_not_matter(values, random):
    shuffled = random.sample(values, len(values))
    expected = mean_interval(np.array(values), 0.05, 99, 0)
    assert mean_interval(np.array(shuffled), 0.05, 99, 0) == pytest.approx(expected, abs=1e-9)


@settings(max_examples=25)
@given(VALUES.filter(lambda values: abs(np.mean(values)) > 1e-6))
def test_opposite_signs_mirror_the_interval(values):
    low, high = mean_interval(np.array(values), 0.05, 99, 0)
    assert mean_interval(-np.array(values), 0.05, 99, 0) == pytest.approx((-high, -low), abs=1e-9)


@settings(max_examples=25)
@given(VALUES)
def test_the_interval_contains_the_sample_mean(values):
    low, high = mean_interval(np.array(values), 0.05, 199, 0)
    assert low - 1e-9 <= np.mean(values) <= high + 1e-9
