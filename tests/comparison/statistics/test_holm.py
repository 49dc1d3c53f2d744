import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from segment.comparison.statistics.holm import holm

P_VALUES = st.lists(st.floats(0, 1), min_size=1, max_size=8)


def test_an_example_by_hand():
    # Sorted: 0.005·4 = 0.02, 0.01·3 = 0.03, 0.03·2 = 0.06, 0.04·1 = 0.04, which may not be below the 0.06 before it.
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])


def test_a_test_that_was_not_made_does_not_count():
    first, missing, second = holm([0.02, math.nan, 0.5])
    assert (first, second) == pytest.approx((0.04, 0.5))
    assert math.isnan(missing)


def test_no_p_exceeds_one_and_nothing_gives_nothing():
    assert holm([0.6, 0.9]) == [1.0, 1.0]
    assert holm([]) == []


@given(P_VALUES)
def test_it_claims_what_the_step_down_rule_claims(p_values):
    """Holm's own words: go through the sorted p until the first that exceeds alpha/(m-k)."""
    alpha, m = 0.05, len(p_values)
    claimed = set()
    for k, index in enumerate(np.argsort(p_values, kind="stable")):
        if p_values[index] * (m - k) > alpha:
            break
        claimed.add(index)
    corrected = holm(p_values)
    assert {i for i in range(m) if corrected[i] <= alpha} == claimed or len(set(p_values)) < m


@given(P_VALUES, st.randoms())
def test_the_order_of_tests_does_not_matter(p_values, random):
    order = random.sample(range(len(p_values)), len(p_values))
    corrected = holm(p_values)
    assert holm([p_values[i] for i in order]) == pytest.approx([corrected[i] for i in order])
