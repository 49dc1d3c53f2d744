"""Verdicts on pairs of arms, in sentences."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from segment.comparison.comparison import Comparison
from segment.comparison.report.format import format_difference, format_interval, format_p
from segment.comparison.statistics.contrasts import Contrast
from segment.metrics.definitions import METRICS

ONE_SEED = (
    "one seed each: this holds for these trained networks; the variation between seeds is unknown, so the recipes "
    "themselves may not differ"
)


@dataclass(frozen=True)
class Verdict:
    """Verdict on one pair of arms.

    Attributes:
        first: Letter of an arm.
        second: Letter of the other arm.
        sentences: One for each metric, then one on seeds if they limit the verdict. `[1]` refers to the first of
            `notes`.
    """

    first: str
    second: str
    sentences: tuple[str, ...]


def verdicts(comparison: Comparison) -> list[Verdict]:
    """One verdict for each pair, in order."""
    all_notes = notes(comparison)
    results = []
    for pair in comparison.pairs:
        sentences = [_sentence(comparison, pair, metric, all_notes) for metric in comparison.metrics]
        sentences += _seed_sentence(comparison, pair, all_notes)
        results.append(Verdict(*pair, tuple(sentences)))
    return results


def notes(comparison: Comparison) -> list[str]:
    """Reasons why differences are not claimed, and the limits of a single seed; each note once."""
    reasons = [reason(contrast, comparison) for contrast in comparison.contrasts if not contrast.better]
    result = list(dict.fromkeys(filter(None, reasons)))
    seeds = _seed_counts(comparison)
    if any(seeds[first] == seeds[second] == 1 for first, second in comparison.pairs):
        result.append(ONE_SEED)
    return result


def note_number(contrast: Contrast, comparison: Comparison, all_notes: Sequence[str]) -> str:
    """Number of the note on a contrast, e.g. `[1]`; empty if there is none."""
    if contrast.better:
        return ""
    text = reason(contrast, comparison)
    if not text:
        return ""
    return f"[{all_notes.index(text) + 1}]"


def numbered_notes(comparison: Comparison) -> list[str]:
    """The notes, each after its number: `[1] equal in every patient`."""
    return [f"[{number}] {note}" for number, note in enumerate(notes(comparison), start=1)]


def overview(comparison: Comparison) -> str:
    """One sentence on the whole comparison."""
    count = len(comparison.arms)
    if count == 1:
        return (
            f"There is one arm: {len(comparison.arms[0].runs)} runs of one configuration, so there is nothing to "
            "compare; the variation between seeds is below."
        )
    claims = sum(bool(contrast.better) for contrast in comparison.contrasts)
    alpha = f"{100 * comparison.settings.alpha:g} %"
    cases = f"{len(comparison.cases)} test cases"
    if len(comparison.patients) < len(comparison.cases):
        cases += f" of {len(comparison.patients)} patients"
    return (
        f"{count} arms on {cases}: {claims} of {comparison.tests} tests show a difference "
        f"(Holm, {alpha} chance of any false claim)."
    )


def claim(contrast: Contrast) -> str:
    """A significant difference without the names of the arms: `spleen by 1.8 points [0.9, 2.7]`."""
    difference = contrast.difference
    metric = contrast.metric
    low, high = sorted((abs(difference.low), abs(difference.high)))  # both ends have the same sign
    size = format_difference(metric, abs(difference.mean))
    return f"{_organ_name(contrast)} by {size} {METRICS[metric].unit} {format_interval(metric, low, high)}"


def reason(contrast: Contrast, comparison: Comparison) -> str:
    """Why a difference is not claimed; empty if it is just not significant."""
    difference, alpha, tests = contrast.difference, comparison.settings.alpha, comparison.tests
    if difference.patients < 2:
        return f"{difference.patients} patient(s) with a score in both"
    if difference.p_patients == 1 and difference.mean == difference.low == difference.high == 0:
        return "equal in every patient"
    if difference.smallest_p * tests > alpha and contrast.p_holm > alpha:
        corrected = min(1.0, difference.smallest_p * tests)
        few = f"{difference.patients} patients are too few"
        if difference.differing < difference.patients:
            few = f"only {difference.differing} of {difference.patients} patients differ, which are too few"
        return (
            f"{few}: Wilcoxon's p is {format_p(difference.smallest_p)} at best, "
            f"or {format_p(corrected)} corrected for {tests} test(s)"
        )
    if contrast.p_holm <= alpha and _excludes_failures_of_better(contrast, comparison):
        return f"{_failures(contrast)}, which the difference over {difference.patients} patients leaves out"
    if difference.p_patients <= alpha < difference.p_seeds:
        return "significant over patients, but not larger than the variation between seeds"
    if difference.p <= alpha < contrast.p_holm:
        return f"p is {format_p(difference.p)}, but {format_p(contrast.p_holm)} corrected for {tests} tests"
    if contrast.p_holm <= alpha:
        return "test and interval disagree"
    return ""


def _sentence(comparison: Comparison, pair: tuple[str, str], metric: str, all_notes: Sequence[str]) -> str:
    """Verdict on a pair for one metric: first the claims, then the other organs, grouped by note."""
    contrasts = comparison.contrasts_of(pair, metric)
    first, second = pair
    parts = []
    for better, worse in ((second, first), (first, second)):
        claims = [claim(contrast) for contrast in contrasts if contrast.better == better]
        if claims:
            parts.append(f"{better} is better than {worse} on {_enumeration(claims)}")
    by_note: dict[str, list[Contrast]] = {}
    for contrast in contrasts:
        if not contrast.better:
            by_note.setdefault(note_number(contrast, comparison, all_notes), []).append(contrast)
    undecided = []
    for note, members in by_note.items():
        organs = _enumeration([_organ_name(contrast) for contrast in members])
        remark = f" {note}" if note else _detectable(members, metric)
        undecided.append(f"on {organs}{remark}")
    if undecided:
        parts.append(f"no significant difference {', '.join(undecided)}")
    return f"{METRICS[metric].title}: {'; '.join(parts)}."


def _detectable(contrasts: Sequence[Contrast], metric: str) -> str:
    """Smallest detectable differences of several contrasts; empty if none is finite."""
    sizes = [contrast.detectable for contrast in contrasts if math.isfinite(contrast.detectable)]
    if not sizes:
        return ""
    low, high = format_difference(metric, min(sizes)), format_difference(metric, max(sizes))
    size = low if low == high else f"{low} to {high}"
    return f" (smallest detectable difference: {size} {METRICS[metric].unit})"


def _seed_sentence(comparison: Comparison, pair: tuple[str, str], all_notes: Sequence[str]) -> list[str]:
    """What the verdict assumes about arms with one seed; empty if both arms have several."""
    seeds = _seed_counts(comparison)
    first, second = pair
    if seeds[first] == seeds[second] == 1:
        return [f"One seed each [{all_notes.index(ONE_SEED) + 1}]."]
    for single, other in ((first, second), (second, first)):
        if seeds[single] == 1:
            return [f"{single} has one seed; its seeds are assumed to vary as much as those of {other}."]
    return []


def _seed_counts(comparison: Comparison) -> dict[str, int]:
    return {arm.letter: len(arm.by_seed) for arm in comparison.arms}


def _excludes_failures_of_better(contrast: Contrast, comparison: Comparison) -> bool:
    """Whether the arm with the better mean has more of the failures that the difference leaves out."""
    second_looks_better = (contrast.difference.mean > 0) != (contrast.metric in comparison.settings.lower_is_better)
    first, second = contrast.excluded_failures
    return second > first if second_looks_better else first > second


def _failures(contrast: Contrast) -> str:
    first, second = contrast.excluded_failures
    letter = contrast.first if first > second else contrast.second
    return f"{letter} failed in {format_difference('hd95_mm', max(first, second))} patients"


def _organ_name(contrast: Contrast) -> str:
    return contrast.organ.replace("_", " ")


def _enumeration(items: Sequence[str]) -> str:
    if len(items) == 1:
        return items[0]
    return f"{', '.join(items[:-1])} and {items[-1]}"
