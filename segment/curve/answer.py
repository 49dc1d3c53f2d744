"""How many labelled CTs a Dice needs: the answer for one organ, in numbers and in a sentence."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from scipy import stats

from segment.curve.fit import Curves, fit
from segment.curve.scores import Means, Scores, size_means

CONFIDENCE = 0.9  # of all intervals
FAR = 10  # a curve is not read beyond this many times the largest number of training CTs
LEAST_PATIENTS = 3  # test patients that show the organ
LEAST_SIZES = 3
POINTS = 24  # of the drawn curve


@dataclass(frozen=True)
class Estimate:
    """A number with the interval that holds the true one in 9 of 10 cases."""

    value: float
    low: float
    high: float

    def words(self, digits: int = 2) -> str:
        """For example `0.93 (0.91 to 0.95)`."""
        return f"{self.value:.{digits}f} ({self.low:.{digits}f} to {self.high:.{digits}f})"


@dataclass(frozen=True)
class Answer:
    """What the trainings say about one organ.

    Attributes:
        organ: Its name.
        target: The Dice that is asked for.
        sentence: The answer in words.
        is_curve: Whether the trainings determine a curve. If not, the attributes below `measured` are empty or None.
        patients: Number of test patients that show the organ.
        measured: Mean Dice by number of training CTs.
        predicted: Dice of the curve by number of training CTs.
        needed: Number of training CTs for the target; infinity if it is not reached.
        level: Dice at which the curve levels off.
    """

    organ: str
    target: float
    sentence: str
    is_curve: bool
    patients: int
    measured: dict[int, Estimate]
    predicted: dict[int, Estimate]
    needed: Estimate | None
    level: Estimate | None


def answer(organ: str, scores: Scores, target: float, have: int, seed: int) -> Answer:
    """Fit a curve to the scores of an organ, and answer how many CTs the target needs.

    There is no curve if fewer than three numbers of CTs were trained, if too few test patients show the organ, if no
    number of CTs was trained twice, if the Dice does not grow measurably, or if it grows so fast that all curves would
    end above 1.

    Args:
        organ: Its name.
        scores: Its Dice in all finished trainings.
        target: The Dice that is asked for, in (0, 1).
        have: Number of training CTs that there are.
        seed: Of the curves that are drawn.
    """
    patients = int((~np.isnan(scores.dice).any(axis=1)).sum())
    sizes, counts = np.unique(scores.sizes, return_counts=True)
    why_not = ""
    if len(sizes) < LEAST_SIZES:
        why_not = f"it was trained with {_count(len(sizes), 'number')} of CTs, and a curve needs {LEAST_SIZES}"
    elif patients < LEAST_PATIENTS:
        why_not = f"{_count(patients, 'test patient')} can be scored, and an interval needs {LEAST_PATIENTS}"
    elif counts.max() < 2:
        why_not = "no number of CTs was trained twice, so the spread of trainings is not known"
    if why_not:
        return Answer(organ, target, f"{_name(organ)} has no curve: {why_not}", False, patients, {}, {}, None, None)
    means = size_means(scores)
    measured = _measured(means)
    largest = int(means.sizes[-1])
    now, reached = measured[largest], ""
    if now.low >= target:
        reached = f"{_name(organ)} {target:g} is reached: {now.words(3)} with {largest} training CTs"
    if not _grows(means):
        sentence = reached or _no_growth(organ, measured)
        return Answer(organ, target, sentence, False, patients, measured, {}, None, None)
    curves = fit(means, seed)
    if not curves.first.size:
        sentence = reached or _too_steep(organ, measured)
        return Answer(organ, target, sentence, False, patients, measured, {}, None, None)
    sentence = reached or _sentence(organ, target, curves, have)
    predicted = {size: _estimate(curves.at(size)) for size in _sizes(means.sizes, have)}
    needed, level = _estimate(curves.needed(target)), _estimate(curves.at(math.inf))
    return Answer(organ, target, sentence, True, patients, measured, predicted, needed, level)


def _sentence(organ: str, target: float, curves: Curves, have: int) -> str:
    far = FAR * round(curves.sizes[1])
    needed, level = _estimate(curves.needed(target)), _estimate(curves.at(math.inf))
    start = f"{_name(organ)} {target:g}"
    if level.high < target:
        ends = f"the curve levels off at {level.low:.2f} to {level.high:.2f}"
        return f"{start} is not reached by more CTs of this kind: {ends}; you have {have}"
    if needed.low > far:
        return f"{start} needs more than {far} training CTs, if more CTs of this kind reach it; you have {have}"
    low = rounded(needed.low, math.floor)
    if needed.high <= far:
        return f"{start} needs {low} to {rounded(needed.high, math.ceil)} training CTs; you have {have}"
    middle = f", perhaps {rounded(needed.value, round)}" if needed.value <= far else ""
    return f"{start} needs at least {low} training CTs{middle}, and it may be more than {far}; you have {have}"


def _no_growth(organ: str, measured: dict[int, Estimate]) -> str:
    (few, first), *_, (many, last) = measured.items()
    change = f"{first.value:.3f} with {few} CTs, {last.words(3)} with {many}"
    return f"{_name(organ)} does not grow measurably ({change}), so these numbers of CTs do not determine a curve"


def _too_steep(organ: str, measured: dict[int, Estimate]) -> str:
    (few, first), *_, (many, last) = measured.items()
    change = f"{first.value:.3f} with {few} CTs, {last.words(3)} with {many}"
    return f"{_name(organ)} has no curve: it grows so fast ({change}) that every curve would end above 1"


def rounded(number: float, direction: Callable[[float], int]) -> int:
    """Round to two digits: 123 with `math.ceil` gives 130. Numbers below 1 give 1."""
    step: int = 10 ** max(0, math.floor(math.log10(max(number, 1))) - 1)
    return max(1, direction(number / step) * step)


def _grows(means: Means) -> bool:
    """Whether the Dice at the largest number of CTs is higher than at the smallest, one-sided test at 5 %."""
    contrast = np.zeros(len(means.sizes))
    contrast[[0, -1]] = (-1, 1)
    deviation = math.sqrt(contrast @ means.covariance @ contrast)
    return bool(contrast @ means.mean > stats.t.ppf(0.95, means.freedom) * deviation)


def _measured(means: Means) -> dict[int, Estimate]:
    factor = stats.t.ppf((1 + CONFIDENCE) / 2, means.freedom)
    half = factor * np.sqrt(np.diag(means.covariance))
    return {
        int(size): Estimate(float(value), float(max(value - width, 0)), float(min(value + width, 1)))
        for size, value, width in zip(means.sizes, means.mean, half, strict=True)
    }


def _estimate(values: np.ndarray) -> Estimate:
    ends = ((1 - CONFIDENCE) / 2, 0.5, (1 + CONFIDENCE) / 2)
    # Not interpolated, because infinity minus infinity is not a number.
    low, middle, high = np.quantile(values, ends, method="inverted_cdf")
    return Estimate(float(middle), float(low), float(high))


def _sizes(sizes: Sequence[int] | np.ndarray, have: int) -> list[int]:
    """Numbers of CTs at which the curve is read, from the smallest to `FAR` times the largest."""
    drawn = np.geomspace(sizes[0], FAR * sizes[-1], POINTS).round().astype(int)
    return sorted({*drawn.tolist(), *map(int, sizes), have, 2 * have})


def _name(organ: str) -> str:
    return f"Dice of the {organ.replace('_', ' ')}"


def _count(number: int, what: str) -> str:
    return f"{number} {what}{'s' * (number != 1)}"
