import itertools
from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import yaml

from segment.phantom import LABELS
from segment.phantom import case as module
from segment.phantom.case import synthesise_case
from segment.phantom.field_of_view import SCANS, SLAB_MM
from segment.phantom.patient import UP, sample_patient
from segment.phantom.tissues import CODES, PHASES

SMALL = (48, 48, 40)
ORGANS = ("liver", "right_kidney", "left_kidney", "spleen")
SEEDS = 40  # the number of cases of data=phantom

LESIONS = {"cyst", "hypodense_lesion", "enhancing_lesion", "calcification", "stone"}
MEDIA = {"gas", "bowel_fluid", "stomach_fluid", "food", "oral_contrast"}
OBJECTS = {"metal", "plastic", "bile"}  # clips, drains and stents
# Tissues of an organ. A vein or a lesion keeps the label of the organ that it lies in.
TISSUES_OF = {
    "liver": {"liver", "portal_vein", "hepatic_vein", "gas", *LESIONS, *OBJECTS},
    "spleen": {"spleen", *LESIONS, *OBJECTS},
    "right_kidney": {"cortex", "medulla", *LESIONS, *OBJECTS},
    "left_kidney": {"cortex", "medulla", *LESIONS, *OBJECTS},
    "stomach": {"stomach_wall", *MEDIA, *OBJECTS},
    "gallbladder": {"gallbladder_wall", "gallstone", "gas", *LESIONS, *OBJECTS},
    "pancreas": {"pancreas", "gas", *LESIONS, *OBJECTS},
    "aorta": {"aorta", "thrombus", "calcification", *OBJECTS},
    "vena_cava": {"vena_cava", "lower_cava", "calcification", *OBJECTS},
}


@pytest.fixture(scope="module")
def cases():
    return [synthesise_case(0, index, SMALL) for index in range(SEEDS)]


def volume_ml(case, name):
    return float((case.label == LABELS[name]).sum() * np.prod(case.spacing_mm) / 1000)


def whole(case, name):
    """Whether the scan shows an organ completely."""
    mask = case.label == LABELS[name]
    faces = (mask[[0, -1]], mask[:, [0, -1]], mask[..., [0, -1]])
    return mask.any() and not any(face.any() for face in faces)


def positions(case, mask):
    """Voxels of a mask (N,3) in anatomical mm, to the right, front and head of L1, in a body of average size."""
    steps = np.argwhere(mask) - (np.array(mask.shape) - 1) / 2
    return (steps * case.spacing_mm + case.view.middle_mm) / case.patient.scale


def center(case, name):
    return positions(case, case.label == LABELS[name]).mean(axis=0)


def share(values):
    return float(np.mean(list(values)))


def test_codes_are_those_of_flare22():
    config = Path(__file__).parents[2] / "conf" / "data" / "flare22.yaml"
    codes = yaml.safe_load(config.read_text())["sources"]["flare22"]["label_codes"]
    assert {name: codes[name] for name in LABELS} == LABELS


def test_a_case_depends_on_seed_and_index_only(cases):
    again = synthesise_case(0, 5, SMALL)
    for name in ("hu", "label", "tissue"):
        volumes = {getattr(case, name).tobytes() for case in cases}
        assert getattr(again, name).tobytes() == getattr(cases[5], name).tobytes()
        assert len(volumes) == SEEDS
        assert getattr(synthesise_case(1, 5, SMALL), name).tobytes() not in volumes


def test_the_anatomy_does_not_depend_on_the_shape(cases):
    number = next(n for n, case in enumerate(cases) if all(whole(case, name) for name in ORGANS))
    coarse, fine = cases[number], synthesise_case(0, number, (72, 72, 60))
    assert fine.patient == coarse.patient
    assert np.allclose(coarse.spacing_mm, 1.5 * fine.spacing_mm)
    assert np.allclose(coarse.view.middle_mm, fine.view.middle_mm)
    for name in ORGANS:
        assert volume_ml(coarse, name) == pytest.approx(volume_ml(fine, name), rel=0.12)
        assert np.abs(center(coarse, name) - center(fine, name)).max() < 6


def test_the_patient_does_not_depend_on_the_scan(cases):
    number = next(n for n, case in enumerate(cases) if case.view.scan == "abdomen and pelvis")
    abdomen = synthesise_case(0, number, SMALL, ["abdomen", "slab"])
    assert abdomen.view.scan in ("abdomen", "slab")
    assert abdomen.patient == cases[number].patient
    both = synthesise_case(0, number, SMALL, ["abdomen and pelvis"])
    assert both.hu.tobytes() == cases[number].hu.tobytes()


def test_scans_show_different_parts_of_the_body(cases):
    assert {case.view.scan for case in cases} == set(SCANS)
    for case in cases:
        half = case.spacing_mm[2] * SMALL[2] / 2
        bottom, top = (case.view.middle_mm[2] + np.array((-half, half))) / case.patient.scale[2]
        _, lowest, highest = SCANS[case.view.scan]
        assert highest[0] < top < highest[1]
        if case.view.scan == "slab":
            assert SLAB_MM[0] < top - bottom < SLAB_MM[1]
        else:
            assert lowest[0] < bottom < lowest[1]
        if "chest" in case.view.scan:
            assert (case.tissue == CODES["lung"]).mean() > 0.02
        if "pelvis" in case.view.scan:
            assert positions(case, case.tissue == CODES["cortical"])[:, 2].min() < -200  # hip bones


def test_organs_are_sometimes_absent_or_cut(cases):
    for case in cases:
        for name in case.patient.absent:
            assert not (case.label == LABELS[name]).any()
        if case.view.scan in ("abdomen", "abdomen and pelvis", "chest, abdomen and pelvis"):
            for name in set(ORGANS) - case.patient.absent:
                assert (case.label == LABELS[name]).any(), (case.view.scan, name)
    outside = [case for case in cases if set(ORGANS) - {*case.patient.absent} - {*present(case)}]
    assert {case.view.scan for case in outside} <= {"slab", "upper abdomen", "chest and upper abdomen"}
    assert 1 <= len(outside) <= 0.3 * SEEDS
    assert 1 <= sum(len(case.patient.absent) for case in cases) <= 0.2 * SEEDS
    for name in ORGANS:
        cut = share((case.label == LABELS[name]).any() and not whole(case, name) for case in cases)
        assert 0 < cut < 0.5, name


def present(case):
    return [name for name in ORGANS if (case.label == LABELS[name]).any()]


def test_kidneys_are_beside_the_spine_and_the_left_one_is_higher(cases):
    higher, low = [], []
    for case in cases:
        kidneys = [name for name in ORGANS[1:3] if whole(case, name)]
        at = {name: center(case, name) for name in kidneys}
        low += [at[name][2] < -75 for name in kidneys]
        if len(at) == 2 and min(place[2] for place in at.values()) > -75:
            right, left = at["right_kidney"], at["left_kidney"]
            assert right[0] > 35
            assert left[0] < -35
            assert 90 < right[0] - left[0] < 180
            higher.append(left[2] > right[2])
    assert share(low) < 0.1  # about 6 % of kidneys lie low, in the pelvis, or form a horseshoe
    assert share(higher) > 0.6


def test_upper_poles_are_closer_to_the_spine(cases):
    closer = []
    for case, (name, side) in itertools.product(cases, (("right_kidney", 1), ("left_kidney", -1))):
        if whole(case, name):
            points = positions(case, case.label == LABELS[name])
            low, high = np.quantile(points[:, 2], (0.2, 0.8))
            lower, upper = points[points[:, 2] <= low], points[points[:, 2] >= high]
            closer.append(side * (lower[:, 0].mean() - upper[:, 0].mean()) > 0)
    assert share(closer) > 0.85


def test_organs_are_on_their_side(cases):
    for case in cases:
        at = {name: center(case, name) for name in LABELS if whole(case, name) or name in ("aorta", "vena_cava")}
        at = {name: place for name, place in at.items() if not np.isnan(place).any()}
        assert at.get("liver", [1])[0] > 0
        assert at.get("spleen", [-100])[0] < -40
        if {"aorta", "vena_cava"} <= at.keys():
            # At the heights that show both, which is not the chest.
            both = (case.label == LABELS["vena_cava"]).any(axis=(0, 1))
            aorta = positions(case, (case.label == LABELS["aorta"]) & both)
            assert len(aorta) == 0 or at["vena_cava"][0] > aorta[:, 0].mean()
        if {"stomach", "spleen"} <= at.keys():
            assert at["stomach"][1] > at["spleen"][1]


def test_organ_volumes_are_realistic(cases):
    """Means of adults are within about one published standard deviation; sources are in segment/phantom/patient.py."""
    published = {
        "liver": (1200, 1750, 600, 2700),
        "spleen": (120, 260, 30, 1500),
        "right_kidney": (115, 195, 0, 400),
        "left_kidney": (120, 205, 0, 400),
    }
    for name, (low, high, least, most) in published.items():
        adults = [case for case in cases if case.patient.age >= 17 and whole(case, name)]
        ml = [volume_ml(case, name) for case in adults]
        assert low < np.mean(ml) < high, (name, np.mean(ml))
        assert min(ml) > least, name
        assert max(ml) < most, name
        assert np.std(ml) > 0.08 * np.mean(ml), name


def test_codes_and_hu_are_in_range(cases):
    for case in cases:
        assert case.hu.dtype == np.int16
        assert case.label.dtype == case.tissue.dtype == np.uint8
        assert set(np.unique(case.label)) <= {0, *LABELS.values()}
        assert case.tissue.max() < len(CODES)
        assert case.hu.min() in (-1024, -2000, -3024) or -1024 < case.hu.min() < -900
        assert case.hu.max() <= 3071
        assert case.hu.max() > 250  # bone
        assert np.median(case.hu[case.tissue == CODES["air"]]) < -950


@pytest.mark.parametrize("name", TISSUES_OF)
def test_the_tissue_map_fits_the_label(cases, name):
    allowed = [CODES[tissue] for tissue in TISSUES_OF[name]]
    found = [case.tissue[case.label == LABELS[name]] for case in cases]
    fits = [np.isin(tissues, allowed).mean() for tissues in found if len(tissues)]
    assert np.mean(np.isin(np.concatenate(found), allowed)) > 0.99
    assert min(fits) > 0.9


def test_organs_follow_the_diaphragm(monkeypatch):
    """After a deep breath the liver is lower by nearly as much as the diaphragm, and a kidney by about half."""
    moved = {"liver": [], "right_kidney": []}
    for index in range(4):
        places = []
        for breath_mm in (-10.0, 20.0):
            monkeypatch.setattr(module, "sample_patient", lambda rng, mm=breath_mm: deep(sample_patient(rng), mm))
            case = synthesise_case(3, index, SMALL, ["chest, abdomen and pelvis"])
            places.append({name: center(case, name)[2] for name in moved if name not in case.patient.absent})
        for name in places[0]:
            moved[name].append(places[0][name] - places[1][name])
    assert 18 < np.mean(moved["liver"]) < 32
    assert 8 < np.mean(moved["right_kidney"]) < 22


def deep(patient, breath_mm):
    return replace(patient, breath_mm=breath_mm)


def test_the_parenchyma_of_an_organ_is_in_its_label(cases):
    """Except for accessory spleens, and for what is outside the scanner's circle."""
    own = {"liver": ["liver"], "spleen": ["spleen"], "right_kidney": ["cortex", "medulla"]}
    for name, tissues in own.items():
        code = [LABELS[name], LABELS["left_kidney"]] if name == "right_kidney" else [LABELS[name]]
        labels = [case.label[np.isin(case.tissue, [CODES[tissue] for tissue in tissues])] for case in cases]
        assert np.isin(np.concatenate(labels), code).mean() > 0.98


# Ranges of the median over cases of the median HU in the label, with the lesions and the fat at the edge.
PHASE_HU = {
    "unenhanced": {"liver": (25, 65), "spleen": (20, 50), "right_kidney": (5, 40), "aorta": (20, 50)},
    "arterial": {"liver": (50, 95), "spleen": (100, 190), "right_kidney": (80, 180), "aorta": (180, 380)},
    "portal": {"liver": (70, 125), "spleen": (70, 125), "right_kidney": (110, 190), "aorta": (115, 175)},
    "delayed": {"liver": (55, 110), "spleen": (55, 105), "right_kidney": (80, 150), "aorta": (75, 130)},
}


@pytest.mark.parametrize("phase", PHASES)
def test_hu_depend_on_the_phase(cases, phase):
    for name, (low, high) in PHASE_HU[phase].items():
        medians = []
        for case in cases:
            mask = case.label == LABELS[name]
            if case.patient.phase == phase and mask.sum() > 50:
                medians.append(np.median(case.hu[mask]))
        assert len(medians) >= 4
        assert low < np.median(medians) < high, (name, medians)
        assert np.std(medians) > 1


def test_contrast_medium_is_excreted_in_the_delayed_phase(cases):
    pelvis = {"delayed": [], "portal": []}
    for case in cases:
        urine = case.hu[case.tissue == CODES["urine"]]
        if case.patient.phase in pelvis and len(urine):
            pelvis[case.patient.phase].append(np.max(urine))
    assert np.median(pelvis["delayed"]) > np.median(pelvis["portal"]) + 50


def test_patients_are_diverse():
    patients = [sample_patient(np.random.default_rng(seed)) for seed in range(600)]
    counts = {
        "female": (share(p.female for p in patients), 0.5),
        "children": (share(p.age < 17 for p in patients), 0.08),
        "prone": (share(p.position == "prone" for p in patients), 0.04),
        "on a side": (share(p.position in ("right", "left") for p in patients), 0.03),
        "arms down": (share(p.arms == "down" for p in patients), 0.16),
        "nephrectomy": (share(bool({"right_kidney", "left_kidney"} & p.absent) for p in patients), 0.07),
    }
    for name, (found, expected) in counts.items():
        assert found == pytest.approx(expected, abs=4 * (expected * (1 - expected) / 600) ** 0.5), name
    assert {p.position for p in patients} == set(UP)
    assert {p.arms for p in patients} == {"up", "down", "belly", "absent"}
    assert Counter(p.phase for p in patients).keys() == PHASES.keys()
    ages = [p.age for p in patients]
    assert min(ages) < 8
    assert max(ages) > 85


@pytest.mark.parametrize("position", UP)
def test_gas_rises_and_the_table_is_below(position, monkeypatch):
    monkeypatch.setattr(module, "sample_patient", lambda rng: replace(sample_patient(rng), position=position))
    upright, beneath = [], []
    for index in range(6):
        case = synthesise_case(0, index, SMALL, ["abdomen"])
        up = np.array((*UP[position], 0))
        stomach = case.label == LABELS["stomach"]
        gas = stomach & (case.tissue == CODES["gas"])
        content = stomach & np.isin(case.tissue, [CODES[name] for name in MEDIA - {"gas"}])
        food = stomach & (case.tissue == CODES["food"])  # holds bubbles
        if gas.sum() > 4 and content.sum() > 4 and not food.any():
            upright.append(np.mean(positions(case, gas) @ up) - np.mean(positions(case, content) @ up))
        foam = case.tissue == CODES["foam"]
        if foam.any():
            skin = case.tissue == CODES["skin"]
            beneath.append(np.mean(positions(case, foam) @ up) - np.mean(positions(case, skin) @ up))
    assert upright
    assert beneath
    assert min(upright) > 5
    assert max(beneath) < -30


def test_no_hu_interval_segments_an_organ(cases):
    """For each case, the best interval on a grid of 10 HU is chosen with the help of the reference."""
    edges = np.arange(-100, 401, 10)
    dice = {name: [] for name in ORGANS}
    for case, name in itertools.product(cases[:12], ORGANS):
        mask = case.label == LABELS[name]
        if mask.any() and case.view.scan != "slab":
            below = np.array([[np.sum(part < edge) for edge in edges] for part in (case.hu[mask], case.hu[~mask])])
            best = 0.0
            for low, high in itertools.combinations(range(len(edges)), 2):
                tp, fp = below[:, high] - below[:, low]
                best = max(best, 2 * tp / (mask.sum() + tp + fp))
            dice[name].append(best)
    assert all(np.mean(values) < 0.6 for values in dice.values()), {n: np.mean(v) for n, v in dice.items()}


def test_without_disease_there_are_no_lesions_devices_or_absent_organs():
    found = [synthesise_case(0, index, SMALL, ["abdomen"], without=["disease"]) for index in range(8)]
    drawn = {int(code) for case in found for code in np.unique(case.tissue)}
    assert drawn.isdisjoint(CODES[name] for name in ("ascites", "effusion", "metal", "lymph_node", "cyst"))
    assert all((case.label == LABELS[organ]).any() for case in found for organ in ORGANS)
    assert not any(case.patient.absent or case.patient.cirrhotic for case in found)


def test_without_scanner_the_image_holds_the_hu_of_tissues():
    plain, scanned = (synthesise_case(0, 3, SMALL, without=without) for without in (["scanner"], []))
    assert np.array_equal(plain.tissue[scanned.tissue > 0], scanned.tissue[scanned.tissue > 0])
    shares = [np.mean(case.hu[plain.tissue == CODES["air"]] == -1000) for case in (plain, scanned)]
    assert shares[0] > 0.9 > 0.5 > shares[1]
