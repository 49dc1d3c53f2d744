"""Computes the scores of an arm for each patient: means over runs with the same seed and over the patient's cases."""

from collections.abc import Sequence
from itertools import pairwise

import numpy as np

from segment.comparison.arms import Arm
from segment.comparison.finished_run import FinishedRun
from segment.comparison.statistics.contrasts import Key, Scores
from segment.comparison.statistics.mean import nan_means


def cases_by_patient(runs: Sequence[FinishedRun], cases: Sequence[str]) -> dict[str, list[str]]:
    """Test cases of each patient, by the patient's first case.

    Two cases belong to one patient if any run recorded it.
    """
    first = {case: case for case in cases}
    for run in runs:
        groups: dict[str, set[str]] = {}
        for case in cases:
            groups.setdefault(run.patients.get(case, case), set()).add(first[case])
        for group in groups.values():  # the cases of one patient, and those that earlier runs joined with them
            for case, current in first.items():
                if current in group:
                    first[case] = min(group)
    patients: dict[str, list[str]] = {}
    for case, patient in first.items():
        patients.setdefault(patient, []).append(case)
    return patients


def score_patients(
    arm: Arm, patients: Sequence[Sequence[str]], organs: Sequence[str], metrics: Sequence[str]
) -> dict[Key, Scores]:
    """Scores (seeds, patients) of one arm for each organ and metric.

    Runs with the same seed are averaged. If one of them has no score for a case, their mean is NaN.
    """
    result = {}
    cases = [case for patient in patients for case in patient]
    starts = np.cumsum([0, *map(len, patients)])
    columns = [slice(start, end) for start, end in pairwise(starts)]
    by_seed = arm.by_seed
    for organ in organs:
        failed = np.zeros((len(by_seed), len(cases)), dtype=bool)
        values = {metric: np.zeros(failed.shape) for metric in metrics}
        for row, runs in enumerate(by_seed):
            for column, case in enumerate(cases):
                scores = [run.cases[case][organ] for run in runs]
                failed[row, column] = any(score.is_failure for score in scores)
                for metric in metrics:
                    values[metric][row, column] = np.mean([getattr(score, metric) for score in scores])
        for metric in metrics:
            result[organ, metric] = _mean_over_cases(values[metric], failed, columns)
    return result


def _mean_over_cases(values: np.ndarray, failed: np.ndarray, columns: Sequence[slice]) -> Scores:
    """Average the cases of each patient; NaN if one of the cases failed without a score.

    Args:
        values: (seeds, cases).
        failed: (seeds, cases).
        columns: The cases of each patient.
    """
    marked = np.where(failed & np.isnan(values), np.inf, values)  # unlike NaN, inf is not left out of a mean
    means = np.stack([nan_means(marked[:, cases], axis=1) for cases in columns], axis=1)
    means = np.where(np.isinf(means), np.nan, means)
    return Scores(means, np.stack([failed[:, cases].any(axis=1) for cases in columns], axis=1))
