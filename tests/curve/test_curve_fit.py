import math

import numpy as np
import pytest

from segment.curve.answer import FAR, answer, rounded
from segment.curve.fit import fit
from segment.curve.scores import Means, Scores, size_means

SIZES = np.array([5, 10, 20])


def means(curve, deviation=0.001, sizes=SIZES):
    return Means(sizes, np.array([curve(n) for n in sizes]), np.eye(len(sizes)) * deviation**2, freedom=6)


def scores(curve, patients=8, repeats=3, spread=0.01, sizes=SIZES):
    """Scores with a small spread over patients and trainings."""
    random = np.random.default_rng(0)
    columns = np.tile([curve(n) for n in sizes], repeats)
    return Scores(np.tile(sizes, repeats), columns + spread * random.standard_normal((patients, len(columns))))


def test_means_and_their_covariance_by_hand():
    # Two patients, two trainings each at 1 and 2 CTs. The means of trainings are 0.5, 0.7 and 0.8, 0.8; the means of
    # patients 0.5, 0.7 at 1 CT and 0.7, 0.9 at 2 CTs.
    dice = np.array([[0.4, 0.6, 0.7, 0.7], [0.6, 0.8, 0.9, 0.9], [0.1, np.nan, 0.1, 0.1]])
    found = size_means(Scores(np.array([1, 1, 2, 2]), dice))
    assert found.sizes.tolist() == [1, 2]
    assert found.mean == pytest.approx([0.6, 0.8])  # the third patient is not scored by all trainings
    # Squares of (training - mean) / error: 2 (0.1 / 0.4)² and 0, over two degrees of freedom.
    of_trainings = np.array([0.4, 0.2]) ** 2 * (0.125 / 2) / 2
    of_patients = np.full((2, 2), 0.02 / 2)
    assert found.covariance == pytest.approx(of_patients + np.diag(of_trainings), abs=1e-6)
    assert found.freedom == 1


@pytest.mark.parametrize("c", [0.5, 1.0, 2.0])
def test_a_power_law_without_noise_is_found_again(c):
    def curve(n):
        return 0.9 - 0.5 * n**-c

    curves = fit(means(curve, deviation=0.003), seed=0)
    low, middle, high = np.quantile(curves.at(40), [0.05, 0.5, 0.95])
    assert low <= curve(40) <= high
    assert abs(middle - curve(40)) < 0.02
    assert np.median(curves.at(10)) == pytest.approx(curve(10), abs=0.003)


def test_the_interval_grows_with_the_distance_and_with_the_spread():
    def curve(n):
        return 0.95 - 0.8 / n

    def width(curves, n):
        return float(np.diff(np.quantile(curves.at(n), [0.05, 0.95]))[0])

    sure, unsure = fit(means(curve), seed=0), fit(means(curve, deviation=0.02), seed=0)
    assert width(sure, 20) < width(sure, 40) < width(sure, 100)
    assert width(sure, 40) < width(unsure, 40)


def test_the_needed_number_is_where_the_curve_reaches_the_target():
    curves = fit(means(lambda n: 0.95 - 0.8 / n, deviation=0.005), seed=0)
    needed = curves.needed(0.93)
    reached = np.isfinite(needed)
    assert 0 < reached.mean() < 1
    level = curves.at(math.inf)
    assert (level[~reached] <= 0.93).all()
    assert (level[reached] > 0.93).all()
    for index in np.flatnonzero(reached)[:20]:
        assert curves.at(needed[index])[index] == pytest.approx(0.93)


def test_curves_neither_fall_nor_end_above_one():
    curves = fit(means(lambda n: 0.9 + 0.02 * math.log(n), deviation=0.01), seed=0)
    assert (curves.last >= curves.first).all()
    assert curves.at(math.inf).max() <= 1


def test_the_same_seed_gives_the_same_curves():
    found = means(lambda n: 0.9 - 0.5 / n)
    assert (fit(found, 3).first == fit(found, 3).first).all()
    assert (fit(found, 3).first != fit(found, 4).first).any()


@pytest.mark.parametrize(
    ("curve", "target", "sentence"),
    [
        (lambda n: 0.9 - 0.8 / n, 0.87, "Dice of the left kidney 0.87 needs {} to {} training CTs; you have 24"),
        (
            lambda n: 0.9 - 8 / n**2,
            0.97,
            "0.97 is not reached by more CTs of this kind: the curve levels off at 0.90 to 0.91; you have 24",
        ),
        (lambda n: 0.9 - 0.8 / n, 0.8, "Dice of the left kidney 0.8 is reached: 0.8"),
        (lambda n: 0.1 + 0.16 * math.log(n), 0.97, f"needs more than {FAR * 20} training CTs, if more"),
        (lambda n: 0.9, 0.95, "Dice of the left kidney does not grow measurably (0.900 with 5 CTs, 0.9"),
    ],
)
def test_the_answer_in_a_sentence(curve, target, sentence):
    found = answer("left_kidney", scores(curve), target, have=24, seed=0)
    if "{}" in sentence:
        assert found.needed is not None
        assert found.needed.low <= 27 <= found.needed.high  # 0.9 - 0.8/27 = 0.87
        sentence = sentence.format(rounded(found.needed.low, math.floor), rounded(found.needed.high, math.ceil))
    assert sentence in found.sentence


def test_an_open_end_is_said_so():
    found = answer("liver", scores(lambda n: 0.97 - 0.5 * n**-0.5, spread=0.02), 0.93, 24, 0)
    assert found.needed is not None
    assert found.needed.low < 100 < FAR * 20 < found.needed.high
    assert "Dice of the liver 0.93 needs at least" in found.sentence
    assert ", and it may be more than 200; you have 24" in found.sentence


@pytest.mark.parametrize(
    ("given", "why"),
    [
        (scores(lambda n: 0.9 - 1 / n, sizes=np.array([5, 10])), "it was trained with 2 numbers of CTs"),
        (scores(lambda n: 0.9 - 1 / n, patients=2), "2 test patients can be scored, and an interval needs 3"),
        (scores(lambda n: 0.9 - 1 / n, repeats=1), "no number of CTs was trained twice"),
        (Scores(np.empty(0, int), np.empty((5, 0))), "it was trained with 0 numbers of CTs"),
    ],
)
def test_what_does_not_determine_a_curve_gets_none(given, why):
    found = answer("liver", given, 0.9, 24, 0)
    assert not found.is_curve
    assert found.predicted == {}
    assert found.sentence.startswith(f"Dice of the liver has no curve: {why}")


def test_scores_that_every_curve_would_leave_above_one_get_no_curve():
    sizes = np.tile([20, 25, 30], 3)
    dice = np.array([{20: 0.9, 25: 0.955, 30: 0.99}[size] for size in sizes])
    found = answer("liver", Scores(sizes, dice + np.linspace(-0.001, 0.001, 10)[:, None]), 0.995, 40, 0)
    assert (found.is_curve, list(found.measured)) == (False, [20, 25, 30])
    assert found.sentence.startswith("Dice of the liver has no curve: it grows so fast (0.900 with 20 CTs, 0.990 (")


def test_numbers_are_rounded_to_two_digits():
    assert [rounded(number, math.ceil) for number in (0.2, 7.1, 42.5, 123)] == [1, 8, 43, 130]
    assert rounded(129, math.floor) == 120


def test_an_organ_that_is_never_found_has_no_curve():
    found = answer("spleen", Scores(np.tile(SIZES, 2), np.zeros((5, 6))), 0.9, 24, 0)
    assert found.sentence.startswith("Dice of the spleen does not grow measurably (0.000 with 5 CTs, 0.000 (0.000 to ")
