"""Arms, what they reach, and how they differ: all that a comparison found."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations, pairwise

import numpy as np

from segment.comparison.arms import Arm
from segment.comparison.fair import check_fair
from segment.comparison.finished_run import FinishedRun
from segment.comparison.statistics.average import nan_means
from segment.comparison.statistics.contrasts import Contrast, Key, Scores, Settings, Summary, contrasts, summarise
from segment.errors import UserError
from segment.metrics.scores import OrganScore

MEAN = "mean over organs"  # its place among the organs of summaries
MOST_TESTS = 1000  # after Holm, of 20 patients only p below 0.00005 count, and each takes a hundredth of a second


@dataclass(frozen=True)
class Comparison:
    """The result.

    Attributes:
        arms: In the order in which they were named.
        cases: Test cases, sorted.
        patients: Each by the first of its test cases.
        organs: Those that all runs score.
        metrics: Those that mean the same in all runs.
        scores: By arm, then organ and metric; columns are `patients`, each the mean over its cases.
        summaries: Alike, and `MEAN` for the mean over organs when there are several, which is not tested.
        contrasts: One for every test; none when there is one arm.
        settings: How it was tested.
        remarks: What a reader should know.
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
        """First and second arm of what was tested."""
        return list(dict.fromkeys((one.first, one.second) for one in self.contrasts))

    @property
    def tests(self) -> int:
        """How many tests Holm's correction counts."""
        return sum(not math.isnan(one.p_holm) for one in self.contrasts)

    def of_pair(self, pair: tuple[str, str], metric: str) -> list[Contrast]:
        """One contrast for each organ."""
        return [one for one in self.contrasts if (one.first, one.second, one.metric) == (*pair, metric)]


def compare(
    arms: Sequence[Arm], metrics: Sequence[str], reference: str | None, settings: Settings, remarks: Sequence[str]
) -> Comparison:
    """Compare arms on the test cases that they share.

    Args:
        arms: At least one.
        metrics: Names of scores of cases.csv.
        reference: Letter of the arm, or name of a run in it, with which the others are compared; None: all pairs.
        settings: How to test.
        remarks: On how the arms were made.

    Raises:
        UserError: When the comparison would not be fair, makes too many tests, or there is no such reference.
    """
    pairs = _pairs(arms, reference)
    runs = [run for arm in arms for run in arm.runs]
    organs, metrics, more = check_fair(runs, metrics)
    if (count := len(pairs) * len(organs) * len(metrics)) > MOST_TESTS:
        msg = (
            f"{len(arms)} arms make {count} tests, too many to find anything; name the arm to compare with: reference="
        )
        raise UserError(msg)
    cases = sorted(runs[0].cases)
    patients = _by_patient(runs, cases)
    scores = {arm.letter: _scores(arm, list(patients.values()), organs, metrics) for arm in arms}
    means = _over_organs(scores, organs, metrics)
    if len(patients) < len(cases):
        more.append(
            f"{len(cases)} test cases are of {len(patients)} patients, whose score is the mean over their cases"
        )
    return Comparison(
        arms=arms,
        cases=cases,
        patients=list(patients),
        organs=organs,
        metrics=metrics,
        scores=scores,
        summaries={
            letter: {key: summarise(one, key[1], settings) for key, one in (by_key | means[letter]).items()}
            for letter, by_key in scores.items()
        },
        contrasts=contrasts(scores, pairs, settings),
        settings=settings,
        remarks=[*remarks, *more],
    )


def _over_organs(
    scores: Mapping[str, Mapping[Key, Scores]], organs: Sequence[str], metrics: Sequence[str]
) -> dict[str, dict[Key, Scores]]:
    """Each patient's mean over organs, by arm: of those that have a score in every arm, so that arms are comparable."""
    result: dict[str, dict[Key, Scores]] = {letter: {} for letter in scores}
    for metric in metrics if len(organs) > 1 else ():
        values = {
            letter: np.stack([by_key[organ, metric].values for organ in organs]) for letter, by_key in scores.items()
        }
        known = np.all([~np.isnan(nan_means(one, axis=1)) for one in values.values()], axis=0)  # (organs, patients)
        for letter, one in values.items():
            means = nan_means(np.where(known[:, None, :], one, np.nan), axis=0)
            result[letter][MEAN, metric] = Scores(means, np.zeros_like(means, dtype=bool))
    return result


def _pairs(arms: Sequence[Arm], reference: str | None) -> list[tuple[str, str]]:
    letters = [arm.letter for arm in arms]
    if reference is None:
        return list(combinations(letters, 2))
    found = [arm.letter for arm in arms if reference == arm.letter or reference in [run.name for run in arm.runs]]
    if not found:
        told = ", ".join(arm.title for arm in arms)
        msg = f"reference={reference} is no arm of this comparison; give a letter: {told}"
        raise UserError(msg)
    return [(found[0], letter) for letter in letters if letter != found[0]]


def _by_patient(runs: Sequence[FinishedRun], cases: Sequence[str]) -> dict[str, list[str]]:
    """Test cases by the first one of their patient: two are of one where any run says so."""
    first = {case: case for case in cases}
    for run in runs:
        gathered: dict[str, set[str]] = {}
        for case in cases:
            gathered.setdefault(run.patients.get(case, case), set()).add(first[case])
        for same in gathered.values():
            first = {case: min(same) if other in same else other for case, other in first.items()}
    patients: dict[str, list[str]] = {}
    for case, patient in first.items():
        patients.setdefault(patient, []).append(case)
    return patients


def _scores(
    arm: Arm, patients: Sequence[Sequence[str]], organs: Sequence[str], metrics: Sequence[str]
) -> dict[Key, Scores]:
    """Rows are seeds. Of several runs of one seed the mean counts, which is unknown where it is in any of them."""
    result = {}
    cases = [case for patient in patients for case in patient]
    starts = np.cumsum([0, *map(len, patients)])
    columns = [slice(start, end) for start, end in pairwise(starts)]
    for organ in organs:
        seeds = [[[run.cases[case][organ] for run in runs] for case in cases] for runs in arm.by_seed]
        failed = np.array([[any(map(_is_failure, same)) for same in row] for row in seeds])
        for metric in metrics:
            values = [[float(np.mean([getattr(score, metric) for score in same])) for same in row] for row in seeds]
            result[organ, metric] = _of_patients(np.array(values), failed, columns)
    return result


def _of_patients(values: np.ndarray, failed: np.ndarray, columns: Sequence[slice]) -> Scores:
    """Means over the columns of each patient, unknown where one of its cases has failed without a score."""
    lost = np.where(failed & np.isnan(values), np.inf, values)  # no mean leaves it out
    means = np.stack([nan_means(lost[:, of], axis=1) for of in columns], axis=1)
    return Scores(np.where(np.isinf(means), np.nan, means), np.stack([failed[:, of].any(1) for of in columns], axis=1))


def _is_failure(score: OrganScore) -> bool:
    """Where only one of truth and prediction has the organ, dice is 0 and there is no distance."""
    return math.isnan(score.hd95_mm) and not math.isnan(score.dice)
