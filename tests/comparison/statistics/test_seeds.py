import math

import numpy as np
import pytest

from segment.comparison.statistics.seeds import StandardError, combined, seed_error, seed_means, seed_sd


def test_mean_and_sd_of_seeds_by_hand():
    scores = np.array([[0.9, 0.7], [0.8, 0.6]])
    assert seed_means(scores) == pytest.approx([0.8, 0.7])
    assert seed_sd(scores) == pytest.approx(0.1 / math.sqrt(2))  # SD of two values: their difference over root 2


def test_a_missing_score_does_not_change_the_seeds_mean():
    scores = np.array([[0.9, 0.1], [0.9, np.nan]])
    assert seed_means(scores) == pytest.approx([0.5, 0.5])


def test_the_sd_of_one_seed_is_nan():
    assert math.isnan(seed_sd(np.array([[0.9, 0.7]])))


def test_seed_error_by_hand():
    first, second = np.array([[0.9], [0.7]]), np.array([[0.5], [0.5]])
    error = seed_error(first, second)
    # The SD of the first is 0.2/√2 and its error 0.1. The second adds nothing, so Welch's degrees of freedom are 1.
    assert (error.value, error.dof) == pytest.approx((0.1, 1))


def test_a_single_seed_is_assumed_to_vary_like_the_seeds_of_the_other_recipe():
    repeats, single = np.array([[0.9], [0.7], [0.8]]), np.array([[0.5]])
    for error in (seed_error(repeats, single), seed_error(single, repeats)):
        assert error.value == pytest.approx(0.1 * math.sqrt(1 / 3 + 1))
        assert error.dof == 2


def test_without_repeats_the_seed_error_is_unknown():
    assert seed_error(np.array([[0.9]]), np.array([[0.5]])) is None


def test_equal_errors_add_their_degrees_of_freedom():
    assert combined(StandardError(0.3, 4), StandardError(0.3, 4)).dof == pytest.approx(8)
    assert combined(StandardError(0.3, 4), StandardError(0.4, 9)).value == pytest.approx(0.5)
    assert combined(StandardError(0.0, 4), StandardError(0.0, 9)) == StandardError(0.0, 9)


def test_half_width_of_a_t_interval():
    # Quantile 0.975 of t with 4 degrees of freedom, from a table: 2.776.
    assert StandardError(0.5, 4).half_width(0.05) == pytest.approx(0.5 * 2.776, abs=1e-3)


def test_a_seed_without_any_score_does_not_count():
    first, second = np.array([[0.9], [0.7], [np.nan]]), np.array([[0.5], [0.5]])
    assert seed_error(first, second).value == pytest.approx(0.1)
