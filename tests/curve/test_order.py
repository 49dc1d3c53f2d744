from itertools import combinations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from segment.curve.order import count_for, order

# The first two CTs are near-duplicates, the third resembles nothing.
PAIR = np.array([[1, 0.9, 0], [0.9, 1, 0], [0, 0, 1.0]])


def taught(similarity, need, covered, chosen):
    """What a set of CTs teaches: the function that is maximised."""
    reached = np.maximum(covered, similarity[:, list(chosen)].max(axis=1, initial=0))
    return float((need * (reached - covered)).sum())


def naive(similarity, need, covered):
    """The greedy order by its definition."""
    chosen, left = [], list(range(len(need)))
    while left:
        best = max(left, key=lambda index: (taught(similarity, need, covered, [*chosen, index]), -index))
        chosen.append(best)
        left.remove(best)
    return chosen


@st.composite
def pools(draw):
    """Similarity, need and cover of up to 7 CTs; with sixteenths, all sums are exact."""
    count = draw(st.integers(1, 7))
    sixteenths = st.integers(0, 16).map(lambda number: number / 16)
    half = draw(arrays(float, (count, count), elements=sixteenths))
    similarity = np.maximum(half, half.T)
    np.fill_diagonal(similarity, 1)
    return similarity, draw(arrays(float, count, elements=sixteenths)), draw(arrays(float, count, elements=sixteenths))


def test_a_near_duplicate_comes_last_although_its_dice_is_low():
    places = order(PAIR, need=np.array([0.5, 0.4, 0.3]), covered=np.zeros(3))
    assert [place.index for place in places] == [0, 2, 1]
    # All three teach 1.2. The first teaches 0.5 + 0.9·0.4 = 0.86; then the third 0.3, and the second 0.1·0.4 = 0.04.
    assert [place.adds for place in places] == pytest.approx([0.86 / 1.2, 0.3 / 1.2, 0.04 / 1.2])
    assert [place.nearest for place in places] == [None, 0, 0]
    assert [place.similarity for place in places] == pytest.approx([0, 0, 0.9])


def test_what_a_labelled_ct_shows_comes_late():
    places = order(PAIR, need=np.array([0.5, 0.4, 0.3]), covered=np.array([0, 0, 0.95]))
    assert [place.index for place in places] == [0, 1, 2]
    assert places[2].adds == pytest.approx(0.3 * 0.05 / (0.5 + 0.4 + 0.3 * 0.05))


def test_many_alike_come_before_an_oddity_with_a_lower_dice():
    similarity = np.full((4, 4), 0.8)
    similarity[3, :3] = similarity[:3, 3] = 0
    np.fill_diagonal(similarity, 1)
    first = order(similarity, need=np.array([0.3, 0.3, 0.3, 0.6]), covered=np.zeros(4))[0]
    assert first.index == 0  # 0.3 + 2·0.8·0.3 = 0.78 > 0.6


def test_equal_cts_keep_their_order_and_nothing_to_learn_adds_nothing():
    places = order(np.eye(3), need=np.zeros(3), covered=np.zeros(3))
    assert [(place.index, place.adds) for place in places] == [(0, 0), (1, 0), (2, 0)]
    assert count_for(places, 0.5) == 0
    assert order(np.zeros((0, 0)), np.zeros(0), np.zeros(0)) == []


def test_the_number_of_cts_for_a_share():
    places = order(PAIR, need=np.array([0.5, 0.4, 0.3]), covered=np.zeros(3))
    assert [count_for(places, share) for share in (0.5, 0.72, 1)] == [1, 2, 3]


@given(pools())
def test_the_lazy_order_is_the_greedy_one(pool):
    places = order(*pool)
    assert [place.index for place in places] == naive(*pool)
    gains = [place.adds for place in places]
    assert gains == sorted(gains, reverse=True)
    assert sum(gains) == pytest.approx(1 if (pool[1] * (1 - pool[2])).any() else 0)


@given(pools())
def test_the_first_two_teach_nearly_as_much_as_the_best_two(pool):
    first = [place.index for place in order(*pool)][:2]
    best = max(taught(*pool, pair) for pair in combinations(range(len(pool[1])), len(first)))
    assert taught(*pool, first) >= (1 - (1 - 1 / 2) ** 2) * best - 1e-9
