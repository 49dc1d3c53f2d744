from collections import Counter

import numpy as np
import pytest
from scipy import ndimage

from segment.phantom import LABELS, disease, kidney_disease, kidneys, patient
from segment.phantom.case import synthesise_case
from segment.phantom.kidneys import plan_kidneys
from segment.phantom.patient import sample_patient

SHAPE = (64, 64, 56)
KIDNEYS = ("right_kidney", "left_kidney")


@pytest.fixture(scope="module")
def plans():
    """Plans of the kidneys of 2000 patients."""
    result = []
    for seed in range(2000):
        patient, rng = sample_patient(np.random.default_rng(seed)), np.random.default_rng((seed, 1))
        result.append(plan_kidneys(patient, rng))
    return result


def trunks(number, seed=3):
    """Cases of patients with both kidneys."""
    cases = (synthesise_case(seed, index, SHAPE, ["abdomen and pelvis"]) for index in range(20))
    whole = (case for case in cases if not {*KIDNEYS} & case.patient.absent)
    return [next(whole) for _ in range(number)]


def volume_ml(case, name):
    return float((case.label == LABELS[name]).sum() * np.prod(case.spacing_mm) / 1000)


def test_the_left_kidney_is_higher_in_most_patients(plans):
    normal = [plan for plan in plans if {kidney.kind for kidney in plan.values()} == {"normal"}]
    higher = np.array([plan["left_kidney"].center[2] - plan["right_kidney"].center[2] for plan in normal])
    assert 0.85 < np.mean(higher > 0) < 0.93
    assert 10 < np.mean(higher) < 20


def test_rare_kidneys_are_planned_at_their_rates(plans):
    kinds = Counter(kidney.kind for plan in plans for kidney in plan.values())
    number = 2 * len(plans)
    assert 0.004 < kinds["horseshoe"] / number < 0.013
    assert 0.004 < kinds["pelvic"] / number < 0.013
    assert 0.03 < kinds["low"] / number < 0.05


def test_the_halves_of_a_horseshoe_kidney_are_joined(monkeypatch):
    monkeypatch.setattr(kidneys, "_HORSESHOE", 1.0)
    for case in trunks(2):
        codes = [LABELS[name] for name in KIDNEYS]
        pieces, _ = ndimage.label(np.isin(case.label, codes))
        largest = np.bincount(pieces.ravel())[1:].argmax() + 1
        for code in codes:
            assert np.mean(pieces[case.label == code] == largest) > 0.9


def test_polycystic_disease_enlarges_the_kidney_that_is_left(monkeypatch):
    monkeypatch.setattr(patient, "_sample_absent", lambda rng: frozenset({"right_kidney"}))
    healthy = synthesise_case(3, 0, SHAPE, ["abdomen and pelvis"])
    monkeypatch.setattr(disease, "_POLYCYSTIC", 1.0)
    case = synthesise_case(3, 0, SHAPE, ["abdomen and pelvis"])
    assert volume_ml(case, "right_kidney") == 0
    assert volume_ml(case, "left_kidney") > volume_ml(healthy, "left_kidney")


@pytest.mark.parametrize("polycystic", [0.0, 1.0])
def test_kidneys_in_the_pelvis_find_room(monkeypatch, polycystic):
    """Nothing is drawn where they would usually lie."""
    monkeypatch.setattr(kidneys, "_PELVIC", 1.0)
    monkeypatch.setattr(kidneys, "_HORSESHOE", 0.0)
    monkeypatch.setattr(disease, "_POLYCYSTIC", polycystic)
    for case in trunks(8 if polycystic else 2):
        for name in KIDNEYS:
            heights = np.argwhere(case.label == LABELS[name])[:, 2] - (SHAPE[2] - 1) / 2
            middle = (heights.mean() * case.spacing_mm[2] + case.view.middle_mm[2]) / case.patient.scale[2]
            assert middle < -125
            assert volume_ml(case, name) > 30


def test_hydronephrosis_leaves_parenchyma(monkeypatch):
    monkeypatch.setitem(kidney_disease._KIDNEY, "hydronephrosis", 0.0)
    before = trunks(2)
    monkeypatch.setitem(kidney_disease._KIDNEY, "hydronephrosis", 1.0)
    for healthy, wide in zip(before, trunks(2), strict=True):
        for name in KIDNEYS:
            left_ml = volume_ml(wide, name)
            assert left_ml > 30
            assert 0.25 < left_ml / volume_ml(healthy, name) < 0.95
