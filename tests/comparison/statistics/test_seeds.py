import math

import numpy as np
import pytest

from segment.comparison.statistics.seeds import Error, combined, seed_error, seed_means, seed_sd


def test_means_and_spread_of_seeds_by_hand():
    scores = np.array([[0.9, 0.7], [0.8, 0.6]])
    assert seed_means(scores) == pytest.approx([0.8, 0.7])
    assert seed_sd(scores) == pytest.approx(0.1 / math.sqrt(2))  # SD of two values: their distance over root 2


def test_a_patient_that_one_seed_lacks_does_not_move_the_seeds_mean():
    scores = np.array([[0.9, 0.1], [0.9, np.nan]])
    assert seed_means(scores) == pytest.approx([0.5, 0.5])


def test_one_seed_has_no_spread():
    assert math.isnan(seed_sd(np.array([[0.9, 0.7]])))


def test_error_of_a_difference_by_hand():
    first, second = np.array([[0.9], [0.7]]), np.array([[0.5], [0.5]])
    error = seed_error(first, second)
    # SD of the first is 0.2/√2, its error 0.1; the second adds nothing, so Welch's freedom is the first's.
    assert (error.value, error.freedom) == pytest.approx((0.1, 1))


def test_a_single_seed_is_taken_to_vary_as_the_repeats_do():
    repeats, single = np.array([[0.9], [0.7], [0.8]]), np.array([[0.5]])
    for error in (seed_error(repeats, single), seed_error(single, repeats)):
        assert error.value == pytest.approx(0.1 * math.sqrt(1 / 3 + 1))
        assert error.freedom == 2


def test_without_repeats_nobody_knows():
    assert seed_error(np.array([[0.9]]), np.array([[0.5]])) is None


def test_equal_errors_add_their_freedom():
    assert combined(Error(0.3, 4), Error(0.3, 4)).freedom == pytest.approx(8)
    assert combined(Error(0.3, 4), Error(0.4, 9)).value == pytest.approx(0.5)
    assert combined(Error(0.0, 4), Error(0.0, 9)) == Error(0.0, 9)


def test_a_t_interval():
    # Quantile 0.975 of t with 4 degrees of freedom, from a table: 2.776.
    assert Error(0.5, 4).half_width(0.05) == pytest.approx(0.5 * 2.776, abs=1e-3)


def test_a_seed_without_any_score_is_no_repeat():
    first, second = np.array([[0.9], [0.7], [np.nan]]), np.array([[0.5], [0.5]])
    assert seed_error(first, second).value == pytest.approx(0.1)
