import math
from dataclasses import replace

import numpy as np
import pytest

from segment.comparison.arms import Arm
from segment.comparison.comparison import MEAN, compare
from segment.comparison.finished_run import FinishedRun, TrainedPart
from segment.comparison.statistics.contrasts import Settings
from segment.metrics.scores import OrganScore

NAN = math.nan
SETTINGS = Settings(0.05, 999, 0, ("hd95_mm",), {"dice": (0, 1), "hd95_mm": (0, math.inf), "nsd": (0, 1)})


def run(name, dice, patients=None, hd95_mm=None):
    """A run with one organ and these scores by case."""
    distances = hd95_mm or dict.fromkeys(dice, 1.0)
    cases = {case: {"liver": OrganScore("liver", dice[case], distances[case], 1.0, 100.0, 100.0)} for case in dice}
    return FinishedRun(name, cases, (TrainedPart(frozenset(), frozenset(cases)),), {}, "", {}, patients or {})


def arms(*runs):
    return [Arm(letter, letter, (run,), {}) for letter, run in zip("AB", runs, strict=True)]


def test_cases_of_one_patient_count_as_one():
    one = run("a", {"p/1": 0.5, "p/2": 0.7, "q": 0.9, "r": 1.0}, {"p/1": "p/1", "p/2": "p/1"})
    other = run("b", {"p/1": 0.6, "p/2": 0.6, "q": 0.8, "r": 1.0})  # did not record patients
    found = compare(arms(one, other), ["dice"], None, SETTINGS, [])
    assert (list(found.cases), list(found.patients)) == (["p/1", "p/2", "q", "r"], ["p/1", "q", "r"])
    assert found.scores["A"]["liver", "dice"].values == pytest.approx(np.array([[0.6, 0.9, 1.0]]))
    assert found.scores["B"]["liver", "dice"].values == pytest.approx(np.array([[0.6, 0.8, 1.0]]))
    assert found.summaries["A"]["liver", "dice"].patients == 3
    remark = "the 4 test cases belong to 3 patients; a patient's score is the mean over the patient's cases"
    assert remark in found.remarks


def test_cases_that_different_runs_assign_to_one_patient_are_joined():
    dice = {"a": 0.5, "b": 0.6, "c": 0.7, "d": 0.8}
    one, other = run("a", dice, {"a": "a", "b": "a"}), run("b", dice, {"b": "b", "c": "b"})
    assert list(compare(arms(one, other), ["dice"], None, SETTINGS, []).patients) == ["a", "d"]


def test_a_patient_with_a_failed_case_has_no_distance_and_absent_organs_do_not_count():
    patients = {"p/1": "p/1", "p/2": "p/1", "q/1": "q/1", "q/2": "q/1"}
    dice = {"p/1": 0.0, "p/2": 0.8, "q/1": NAN, "q/2": 0.6}  # p/1: the network found nothing; q/1: the organ is absent
    distances = {"p/1": NAN, "p/2": 3.0, "q/1": NAN, "q/2": 5.0}
    found = compare(
        arms(run("a", dice, patients, distances), run("b", dice, patients, distances)),
        ["dice", "hd95_mm"],
        None,
        SETTINGS,
        [],
    )
    scores = found.scores["A"]
    assert scores["liver", "dice"].values == pytest.approx(np.array([[0.4, 0.6]]))
    assert scores["liver", "hd95_mm"].values == pytest.approx(np.array([[NAN, 5.0]]), nan_ok=True)
    assert scores["liver", "hd95_mm"].failed.tolist() == [[True, False]]


def test_repeated_scans_of_few_patients_do_not_cause_false_claims():
    """Two equal arms, which differ by chance between ten patients with four CTs each: 5 % may claim a difference."""
    rng = np.random.default_rng(0)
    claims = 0
    for _ in range(100):
        scores: dict[str, dict[str, float]] = {"a": {}, "b": {}}
        for patient in range(10):
            shift = rng.normal(0, 0.02)
            for scan in range(4):
                scores["a"][f"{patient}/{scan}"] = 0.8
                scores["b"][f"{patient}/{scan}"] = 0.8 + shift + rng.normal(0, 0.005)
        same = {case: f"{case.split('/')[0]}/0" for case in scores["a"]}
        found = compare(arms(run("a", scores["a"], same), run("b", scores["b"], same)), ["dice"], None, SETTINGS, [])
        claims += bool(found.contrasts[0].better)
    assert claims <= 10


def two_organs(name, liver, spleen):
    """A run with these scores of two organs by case."""
    cases = {
        case: {
            "liver": OrganScore("liver", liver[case], 1.0, 1.0, 100.0, 100.0),
            "spleen": OrganScore("spleen", spleen[case], 1.0, 1.0, 100.0, 100.0),
        }
        for case in liver
    }
    return FinishedRun(name, cases, (TrainedPart(frozenset(), frozenset(cases)),), {}, "", {}, {}, 1000, 2.0)


def test_the_mean_over_organs_covers_those_that_every_arm_scores_in_a_patient():
    one = two_organs("a", {"p": 0.8, "q": 0.6}, {"p": 0.4, "q": NAN})
    other = two_organs("b", {"p": 0.9, "q": 0.7}, {"p": 0.5, "q": 0.1})
    found = compare(arms(one, other), ["dice"], None, SETTINGS, [])
    assert found.summaries["A"][MEAN, "dice"].mean == pytest.approx((0.6 + 0.6) / 2)
    assert found.summaries["B"][MEAN, "dice"].mean == pytest.approx((0.7 + 0.7) / 2)  # not 0.4 for q
    assert found.tests <= 2  # it is not tested
    single = compare(arms(run("a", {"p": 0.5, "q": 1}), run("b", {"p": 0.5, "q": 1})), ["dice"], None, SETTINGS, [])
    assert (MEAN, "dice") not in single.summaries["A"]


def test_an_arm_has_the_parameters_and_the_mean_hours_of_its_runs():
    known = two_organs("a", {"p": 0.8}, {"p": 0.4})
    unknown = run("b", {"p": 0.5})
    arm = Arm("A", "x", (known, replace(known, hours=4.0), unknown), {})
    assert (arm.parameters, arm.hours) == (1000, 3.0)
    assert (Arm("A", "x", (unknown,), {}).parameters, Arm("A", "x", (unknown,), {}).hours) == (None, None)
