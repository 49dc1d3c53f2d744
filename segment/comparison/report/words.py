"""What may be said of two arms, in words."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from segment.comparison.comparison import Comparison
from segment.comparison.report.numbers import TITLES, chance, gap, span, unit
from segment.comparison.statistics.contrasts import Contrast

ONE_SEED = (
    "one seed each: this holds of these trained networks; the spread between seeds is unknown, and with it whether "
    "the recipes differ"
)


@dataclass(frozen=True)
class Verdict:
    """What was found of one pair.

    Attributes:
        first: Letter of an arm.
        second: Of the other.
        sentences: One for each metric, then what holds of all. `[1]` stands for the first of `notes`.
    """

    first: str
    second: str
    sentences: tuple[str, ...]


def verdicts(comparison: Comparison) -> list[Verdict]:
    """One for each pair, in order."""
    known = notes(comparison)
    return [
        Verdict(
            *pair,
            (
                *(_sentence(comparison, pair, metric, known) for metric in comparison.metrics),
                *_seeds(comparison, pair, known),
            ),
        )
        for pair in comparison.pairs
    ]


def notes(comparison: Comparison) -> list[str]:
    """Why differences are not claimed, and what is not known of single seeds: each once, however often it holds."""
    whys = [reason(one, comparison) for one in comparison.contrasts if not one.better]
    seeds = {arm.letter: len(arm.by_seed) for arm in comparison.arms}
    single = any(seeds[first] == seeds[second] == 1 for first, second in comparison.pairs)
    return [*dict.fromkeys(filter(None, whys)), *([ONE_SEED] if single else [])]


def mark(one: Contrast, comparison: Comparison, known: Sequence[str]) -> str:
    """The number, among the known notes, of the one that holds of a difference: `[1]`; empty when there is none."""
    why = "" if one.better else reason(one, comparison)
    return f"[{known.index(why) + 1}]" if why else ""


def numbered(comparison: Comparison) -> list[str]:
    """The notes behind their numbers."""
    return [f"[{number}] {note}" for number, note in enumerate(notes(comparison), start=1)]


def overview(comparison: Comparison) -> str:
    """One sentence on the comparison as a whole."""
    count = len(comparison.arms)
    if count == 1:
        return (
            f"There is one arm: {len(comparison.arms[0].runs)} runs of one configuration, so there is nothing to tell "
            "apart; the spread between seeds is below."
        )
    claimed = sum(bool(one.better) for one in comparison.contrasts)
    alpha = f"{100 * comparison.settings.alpha:g} %"
    cases = f"{len(comparison.cases)} test cases"
    if len(comparison.patients) < len(comparison.cases):
        cases += f" of {len(comparison.patients)} patients"
    return (
        f"{count} arms on {cases}: {claimed} of {comparison.tests} tests show a difference "
        f"(Holm, {alpha} chance of any false claim)."
    )


def claim(one: Contrast) -> str:
    """A difference that may be claimed, without the names: `spleen by 1.8 points [0.9, 2.7]`."""
    found = one.difference
    low, high = sorted((abs(found.low), abs(found.high)))  # of one sign
    return f"{_name(one.organ)} by {gap(one.metric, abs(found.mean))} {unit(one.metric)} {span(one.metric, low, high)}"


def reason(one: Contrast, comparison: Comparison) -> str:
    """Why a difference cannot be claimed; empty when there is nothing to say but that it was not seen."""
    found, alpha, tests = one.difference, comparison.settings.alpha, comparison.tests
    if found.patients < 2:
        return f"{found.patients} patient(s) with a score in both"
    if found.p_patients == 1 and found.mean == found.low == found.high == 0:
        return "equal in every patient"
    if found.smallest_p * tests > alpha and one.p_holm > alpha:
        return (
            f"{found.patients} patients cannot show it: Wilcoxon's p is {chance(found.smallest_p)} at best, and "
            f"{chance(min(1.0, found.smallest_p * tests))} corrected for {tests} test(s)"
        )
    if one.p_holm <= alpha and _favours_failures(one, comparison):
        return f"{_hidden(one)}, which the difference of {found.patients} patients leaves out"
    if found.p_patients <= alpha < found.p_seeds:
        return "patients agree, but seeds alone differ as much"
    if found.p <= alpha < one.p_holm:
        return f"p is {chance(found.p)}, but {chance(one.p_holm)} corrected for {tests} tests"
    if one.p_holm <= alpha:
        return "test and interval disagree"
    return ""


def _sentence(comparison: Comparison, pair: tuple[str, str], metric: str, known: Sequence[str]) -> str:
    contrasts = comparison.of_pair(pair, metric)
    parts = []
    for better, worse in (pair[::-1], pair):
        claims = [claim(one) for one in contrasts if one.better == better]
        if claims:
            parts.append(f"{better} is better than {worse} on {_listed(claims)}")
    open_ones: dict[str, list[Contrast]] = {}
    for one in contrasts:
        if not one.better:
            open_ones.setdefault(mark(one, comparison, known), []).append(one)
    for note, ones in open_ones.items():
        names = _listed([_name(one.organ) for one in ones])
        parts.append(f"{names} can't be told apart{f' {note}' if note else _detectable(ones, metric)}")
    return f"{TITLES[metric]}: {'; '.join(parts)}."


def _detectable(ones: Sequence[Contrast], metric: str) -> str:
    """What would probably have been seen."""
    known = [one.detectable for one in ones if math.isfinite(one.detectable)]
    if not known:
        return ""
    low, high = gap(metric, min(known)), gap(metric, max(known))
    size = low if low == high else f"{low} to {high}"
    return f" (less than {size} {unit(metric)} would hardly have shown)"


def _seeds(comparison: Comparison, pair: tuple[str, str], known: Sequence[str]) -> list[str]:
    """What is not known of seeds."""
    seeds = {arm.letter: len(arm.by_seed) for arm in comparison.arms}
    single = [letter for letter in pair if seeds[letter] == 1]
    if len(single) == 2:
        return [f"One seed each [{known.index(ONE_SEED) + 1}]."]
    if single:
        other = pair[0] if single[0] == pair[1] else pair[1]
        return [f"{single[0]} has one seed; its seeds are taken to spread as those of {other} do."]
    return []


def _favours_failures(one: Contrast, comparison: Comparison) -> bool:
    """Whether the arm that looks better has more of the failures that the difference leaves out."""
    second_looks_better = (one.difference.mean > 0) != (one.metric in comparison.settings.lower_is_better)
    better, worse = one.hidden[::-1] if second_looks_better else one.hidden
    return better > worse


def _hidden(one: Contrast) -> str:
    more = one.first if one.hidden[0] > one.hidden[1] else one.second
    return f"{more} failed in {gap('hd95_mm', max(one.hidden))} patients"


def _name(organ: str) -> str:
    return organ.replace("_", " ")


def _listed(items: Sequence[str]) -> str:
    return items[0] if len(items) == 1 else f"{', '.join(items[:-1])} and {items[-1]}"
