import numpy as np
import pytest
import torch
from organ_masks import ORGANS, USUAL, affine, draw

from segment.inference.confidence.evidence import Evidence, gather_evidence
from segment.inference.confidence.features import OF_ORGAN, measure_features
from segment.inference.confidence.second_look import Look
from segment.inference.outputs.default_anatomy import default_anatomy
from segment.inference.region import Region
from segment.io.scan import Scan, geometry_header

ANATOMY = default_anatomy()


def scan_of(mask, grid=None):
    grid = affine() if grid is None else grid
    hu = np.full(mask.shape, -1000, np.int16)
    hu[3:47, 4:32] = -100
    hu[mask > 0] = 60
    return Scan(hu, grid, geometry_header(mask.shape, grid), mask.shape)


def evidence(looks=None):
    logits = torch.zeros(1 + len(ORGANS), 4, 4, 4)
    for index in range(1, 5):
        logits[index, index - 1] = 5.0
    return gather_evidence(Region(logits, (0, 0, 0)), np.eye(4), looks or {})


def measure(parts, looks=None):
    mask = draw(parts)
    return measure_features(scan_of(mask), mask, evidence(looks), ORGANS, ANATOMY)


def usual(**changed):
    return [(organ, changed.get(organ, ellipsoid)) for organ, ellipsoid in USUAL.items()]


def test_organs_in_their_usual_place_are_near_zero():
    findings = measure(usual())
    assert set(findings.features) == set(ORGANS)
    assert findings.in_view == {}
    for features in findings.features.values():
        assert {*OF_ORGAN} < {*features}
        assert max(abs(features[name]) for name in ("right", "front", "up")) < 1
        assert abs(features["volume"]) < 1.2
        assert features["side_mm"] > 30
        assert (features["organs"], features["missing"], features["cut"]) == (4, 0, 0)


def test_a_kidney_in_the_shoulder_and_one_on_the_wrong_side():
    centre, radii = USUAL["left_kidney"]
    high = measure(usual(left_kidney=((centre[0], centre[1], 250), radii))).features["left_kidney"]
    assert high["up"] > 6
    wrong = measure(usual(left_kidney=((80, -40, -20), radii))).features["left_kidney"]
    assert wrong["side_mm"] < -30
    assert wrong["right"] > 4


def test_an_absent_organ_is_in_view_only_if_the_scan_reaches_it():
    parts = [(organ, ellipsoid) for organ, ellipsoid in USUAL.items() if organ != "right_kidney"]
    assert measure(parts).in_view == {"right_kidney": True}
    mask = draw([("liver", USUAL["liver"]), ("spleen", USUAL["spleen"])])
    upper = mask[:, :, 55:]
    grid = affine()
    grid[2, 3] += 55 * grid[2, 2]
    findings = measure_features(scan_of(upper, grid), upper, evidence(), ORGANS, ANATOMY)
    assert findings.in_view == {"right_kidney": False, "left_kidney": False}
    assert findings.features["liver"]["missing"] == 0
    alone = measure_features(scan_of(mask * 0), mask * 0, evidence(), ORGANS, ANATOMY)
    assert alone.in_view == dict.fromkeys(ORGANS)


def test_a_ct_that_looks_better_mirrored_is_recognised():
    """The first look found a small liver and a large spleen, the mirrored one a usual liver and a usual spleen."""

    def look(liver, spleen, expected):
        volume = np.zeros((2, 5))
        volume[0, [1, 4]] = liver, spleen
        volume[1, [1, 4]] = 400, 1400
        return Look(np.full(5, 0.9), volume[0] / np.maximum(volume[1], 1), np.full(5, expected), volume)

    base = evidence()
    looks = {"moved": look(400, 1400, 0.9), "mirrored": look(1500, 260, 0.96)}
    one_ml = Evidence(base.voxels, 1.0, base.expected_dice, base.doubtful, base.other_organ, looks)
    mask = draw(usual())
    features = measure_features(scan_of(mask), mask, one_ml, ORGANS, ANATOMY).features["left_kidney"]
    assert features["mirror_sure"] == pytest.approx(0.06)
    assert features["mirror_volume"] > 1
    assert features["mirror_size"] == pytest.approx(3.75)
    without = draw(usual()[:3])  # no spleen: no fair comparison
    assert np.isnan(
        measure_features(scan_of(without), without, one_ml, ORGANS, ANATOMY).features["liver"]["mirror_size"]
    )


def test_features_do_not_depend_on_the_orientation_of_the_grid():
    mask = draw(usual())
    scan = scan_of(mask)
    straight = measure_features(scan, mask, evidence(), ORGANS, ANATOMY).features["liver"]
    data, label = scan.data[::-1].transpose(2, 0, 1), mask[::-1].transpose(2, 0, 1)
    grid = affine()
    grid[:3, 3] += grid[:3, 0] * (mask.shape[0] - 1)
    grid[:3, 0] *= -1
    grid = grid[:, [2, 0, 1, 3]]
    turned = Scan(data, grid, geometry_header(data.shape, grid), data.shape)
    other = measure_features(turned, label, evidence(), ORGANS, ANATOMY).features["liver"]
    for name, value in straight.items():
        assert other[name] == pytest.approx(value, abs=0.02, rel=0.02, nan_ok=True), name
