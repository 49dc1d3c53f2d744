import itertools
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import yaml

from segment.phantom import LABELS
from segment.phantom.case import synthesise_case

SMALL = (48, 48, 36)
ORGANS = ("liver", "right_kidney", "left_kidney", "spleen")
SEEDS = 40  # the number of cases of data=phantom


@pytest.fixture(scope="module")
def cases():
    return [synthesise_case(0, index, SMALL) for index in range(SEEDS)]


def volume_ml(case, name):
    return float((case.label == LABELS[name]).sum() * np.prod(case.spacing_mm) / 1000)


def whole(case, name):
    mask = case.label == LABELS[name]
    return mask.any() and not mask[..., [0, -1]].any()


def center(case, name):
    """Centre of an organ in mm from the volume's corner, towards right, front and head."""
    return np.argwhere(case.label == LABELS[name]).mean(axis=0) * case.spacing_mm


def test_codes_are_those_of_flare22():
    config = Path(__file__).parents[2] / "conf" / "data" / "flare22.yaml"
    codes = yaml.safe_load(config.read_text())["sources"]["flare22"]["label_codes"]
    assert {name: codes[name] for name in LABELS} == LABELS


def test_a_case_depends_on_seed_and_index_only(cases):
    again = synthesise_case(0, 5, SMALL)
    assert again.hu.tobytes() == cases[5].hu.tobytes()
    assert again.label.tobytes() == cases[5].label.tobytes()
    assert len({case.hu.tobytes() for case in cases}) == SEEDS
    assert len({case.label.tobytes() for case in cases}) == SEEDS
    assert synthesise_case(1, 5, SMALL).label.tobytes() != again.label.tobytes()


def test_the_anatomy_does_not_depend_on_the_shape():
    coarse, fine = synthesise_case(0, 1, (48, 48, 36)), synthesise_case(0, 1, (96, 96, 72))
    assert np.allclose(coarse.spacing_mm, 2 * fine.spacing_mm)
    for name in ORGANS:
        assert volume_ml(coarse, name) == pytest.approx(volume_ml(fine, name), rel=0.1)
        assert np.abs(center(coarse, name) - center(fine, name)).max() < 6


def test_kidneys_are_beside_the_spine_and_the_left_one_is_higher(cases):
    higher = []
    for case in cases:
        if whole(case, "right_kidney") and whole(case, "left_kidney"):
            right, left = center(case, "right_kidney"), center(case, "left_kidney")
            assert 80 < right[0] - left[0] < 180
            higher.append(left[2] - right[2])
    assert np.mean(higher) > 4


def test_upper_poles_are_closer_to_the_spine(cases):
    for case in cases:
        for name, side in (("right_kidney", 1), ("left_kidney", -1)):
            if whole(case, name):
                points = np.argwhere(case.label == LABELS[name]) * case.spacing_mm
                low, high = np.quantile(points[:, 2], (0.2, 0.8))
                lower, upper = points[points[:, 2] < low], points[points[:, 2] > high]
                assert side * (lower[:, 0].mean() - upper[:, 0].mean()) > 0


def test_organ_volumes_are_realistic(cases):
    """Means are within about one published standard deviation; sources are in segment/phantom/patient.py."""
    published = {
        "liver": (1200, 1750, 700, 2600),
        "spleen": (140, 260, 40, 520),
        "right_kidney": (120, 190, 60, 300),
        "left_kidney": (120, 200, 60, 300),
    }
    for name, (low, high, least, most) in published.items():
        ml = [volume_ml(case, name) for case in cases if whole(case, name)]
        assert low < np.mean(ml) < high, name
        assert min(ml) > least, name
        assert max(ml) < most, name
        assert np.std(ml) > 0.08 * np.mean(ml), name
    for case in cases:
        if whole(case, "liver"):
            assert all(volume_ml(case, name) < volume_ml(case, "liver") for name in LABELS if name != "liver")


def test_organs_are_sometimes_absent_or_cut_off(cases):
    absent = Counter(name for case in cases for name in case.patient.absent)
    for case in cases:
        for name in case.patient.absent:
            assert not (case.label == LABELS[name]).any()
    for name in ORGANS:
        assert sum((case.label == LABELS[name]).any() for case in cases) >= 0.85 * SEEDS
    assert 1 <= sum(absent.values()) <= 0.2 * SEEDS
    liver_cut = sum((case.label[..., -1] == LABELS["liver"]).any() for case in cases)
    kidney_cut = sum(
        np.isin(case.label[..., 0], [LABELS["right_kidney"], LABELS["left_kidney"]]).any() for case in cases
    )
    assert 1 <= liver_cut <= 0.3 * SEEDS
    assert 1 <= kidney_cut <= 0.3 * SEEDS


def test_codes_and_hu_are_in_range(cases):
    for case in cases:
        assert case.hu.dtype == np.int16
        assert case.label.dtype == np.uint8
        assert set(np.unique(case.label)) <= {0, *LABELS.values()}
        assert case.hu.min() >= -1024
        assert case.hu.max() <= 3071
        corners = [case.hu[i, -1, k] for i, k in itertools.product((0, -1), repeat=2)]
        assert np.mean(corners) < -900  # air around the body
        assert case.hu.max() > 250  # bone


@pytest.mark.parametrize(
    ("phase", "ranges"),
    {
        "unenhanced": {"liver": (0, 75), "spleen": (25, 65), "right_kidney": (0, 50), "aorta": (10, 60)},
        "arterial": {"liver": (30, 110), "spleen": (75, 210), "right_kidney": (70, 220), "aorta": (150, 500)},
        "portal": {"liver": (40, 140), "spleen": (70, 150), "right_kidney": (90, 230), "aorta": (95, 200)},
    }.items(),
)
def test_hu_depend_on_the_phase(cases, phase, ranges):
    of_phase = [case for case in cases if case.patient.phase == phase]
    assert len(of_phase) >= 5
    for name, (low, high) in ranges.items():
        masks = [(case.hu, case.label == LABELS[name]) for case in of_phase]
        medians = [np.median(hu[mask]) for hu, mask in masks if mask.any()]
        assert all(low <= median <= high for median in medians), (name, medians)
        assert np.std(medians) > 1


def test_no_hu_interval_segments_an_organ(cases):
    """For each case, the best interval on a grid of 10 HU is chosen with the help of the reference."""
    edges = np.arange(-100, 401, 10)
    dice = {name: [] for name in ORGANS}
    for case, name in itertools.product(cases[:8], ORGANS):
        mask = case.label == LABELS[name]
        if mask.any():
            below = np.array([[np.sum(part < edge) for edge in edges] for part in (case.hu[mask], case.hu[~mask])])
            best = 0.0
            for low, high in itertools.combinations(range(len(edges)), 2):
                tp, fp = below[:, high] - below[:, low]
                best = max(best, 2 * tp / (mask.sum() + tp + fp))
            dice[name].append(best)
    assert all(np.mean(values) < 0.6 for values in dice.values()), {n: np.mean(v) for n, v in dice.items()}
