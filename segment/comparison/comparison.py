"""Compares arms on the test cases that they share."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np

from segment.comparison.arms import Arm
from segment.comparison.fair import check_fair
from segment.comparison.patient_scores import cases_by_patient, score_patients
from segment.comparison.statistics.contrasts import (
    Contrast,
    Key,
    Scores,
    Settings,
    Summary,
    compute_contrasts,
    summarise,
)
from segment.comparison.statistics.mean import nan_means
from segment.errors import UserError

MEAN = "mean over organs"  # used like an organ's name in summaries
MAX_TESTS = 1000  # with 20 patients and so many tests, only p below 0.00005 is significant; a test takes 10 ms


@dataclass(frozen=True)
class Comparison:
    """Result of a comparison.

    Attributes:
        arms: In the order in which the user named them.
        cases: Test cases, sorted.
        patients: The first test case of each patient.
        organs: Organs that all runs score.
        metrics: Metrics that all runs define in the same way.
        scores: By arm, then by organ and metric. Columns are `patients`, each the mean over the patient's cases.
        summaries: By arm, then by organ and metric. With several organs also for `MEAN`, which is not tested.
        contrasts: One for every test; none if there is one arm.
        settings: Options of the tests.
        remarks: Notes for the reader.
    """

    arms: Sequence[Arm]
    cases: Sequence[str]
    patients: Sequence[str]
    organs: Sequence[str]
    metrics: Sequence[str]
    scores: Mapping[str, Mapping[Key, Scores]]
    summaries: Mapping[str, Mapping[Key, Summary]]
    contrasts: Sequence[Contrast]
    settings: Settings
    remarks: Sequence[str]

    @property
    def pairs(self) -> list[tuple[str, str]]:
        """First and second arm of each tested pair."""
        return list(dict.fromkeys((contrast.first, contrast.second) for contrast in self.contrasts))

    @property
    def tests(self) -> int:
        """Number of tests that Holm's correction counts."""
        return sum(not math.isnan(contrast.p_holm) for contrast in self.contrasts)

    def contrasts_of(self, pair: tuple[str, str], metric: str) -> list[Contrast]:
        """Contrasts of a pair for one metric, one for each organ."""
        return [
            contrast
            for contrast in self.contrasts
            if (contrast.first, contrast.second) == pair and contrast.metric == metric
        ]


def compare(
    arms: Sequence[Arm], metrics: Sequence[str], reference: str | None, settings: Settings, remarks: Sequence[str]
) -> Comparison:
    """Compare arms on the test cases that they share.

    Args:
        arms: At least one.
        metrics: Names of scores of cases.csv.
        reference: Letter of the arm that the others are compared with, or name of one of its runs; None compares all
            pairs.
        settings: Options of the tests.
        remarks: Notes on how the arms were formed.

    Raises:
        UserError: If the comparison would not be fair, makes too many tests, or no arm matches `reference`.
    """
    pairs = _pairs(arms, reference)
    runs = [run for arm in arms for run in arm.runs]
    organs, metrics, new_remarks = check_fair(runs, metrics)
    count = len(pairs) * len(organs) * len(metrics)
    if count > MAX_TESTS:
        msg = (
            f"{len(arms)} arms make {count} tests, too many to detect differences; compare all arms with one of them: "
            "reference=<letter>"
        )
        raise UserError(msg)
    cases = sorted(runs[0].cases)
    patients = cases_by_patient(runs, cases)
    if len(patients) < len(cases):
        new_remarks.append(
            f"the {len(cases)} test cases belong to {len(patients)} patients; a patient's score is the mean over the "
            "patient's cases"
        )
    scores = {arm.letter: score_patients(arm, list(patients.values()), organs, metrics) for arm in arms}
    return Comparison(
        arms=arms,
        cases=cases,
        patients=list(patients),
        organs=organs,
        metrics=metrics,
        scores=scores,
        summaries=_summaries(scores, organs, metrics, settings),
        contrasts=compute_contrasts(scores, pairs, settings),
        settings=settings,
        remarks=[*remarks, *new_remarks],
    )


def _summaries(
    scores: Mapping[str, Mapping[Key, Scores]], organs: Sequence[str], metrics: Sequence[str], settings: Settings
) -> dict[str, dict[Key, Summary]]:
    means = _means_over_organs(scores, organs, metrics)
    summaries = {}
    for letter, by_key in scores.items():
        both = {**by_key, **means[letter]}
        summaries[letter] = {key: summarise(own, key[1], settings) for key, own in both.items()}
    return summaries


def _means_over_organs(
    scores: Mapping[str, Mapping[Key, Scores]], organs: Sequence[str], metrics: Sequence[str]
) -> dict[str, dict[Key, Scores]]:
    """Mean over organs for each patient, by arm; empty if there is one organ.

    Only organs that have a score in every arm count for a patient. Otherwise an arm could gain by missing an organ.
    """
    result: dict[str, dict[Key, Scores]] = {letter: {} for letter in scores}
    if len(organs) < 2:
        return result
    for metric in metrics:
        values = {}  # by arm: (organs, seeds, patients)
        for letter, by_key in scores.items():
            values[letter] = np.stack([by_key[organ, metric].values for organ in organs])
        # (organs, patients)
        known = np.all([~np.isnan(nan_means(of_arm, axis=1)) for of_arm in values.values()], axis=0)
        for letter, of_arm in values.items():
            means = nan_means(np.where(known[:, None, :], of_arm, np.nan), axis=0)
            result[letter][MEAN, metric] = Scores(means, np.zeros_like(means, dtype=bool))
    return result


def _pairs(arms: Sequence[Arm], reference: str | None) -> list[tuple[str, str]]:
    letters = [arm.letter for arm in arms]
    if reference is None:
        return list(combinations(letters, 2))
    for arm in arms:
        if reference == arm.letter or reference in [run.name for run in arm.runs]:
            return [(arm.letter, letter) for letter in letters if letter != arm.letter]
    titles = ", ".join(arm.title for arm in arms)
    msg = f"reference={reference} is not an arm of this comparison; give a letter: {titles}"
    raise UserError(msg)
