import labelled_body
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from labelled_body import CODES, SPACING_MM

from segment.phantom.from_labels import synthesis
from segment.phantom.from_labels.body import LabelledBody, build_body
from segment.phantom.from_labels.drawing import ORGANS, draw
from segment.phantom.from_labels.part import Part
from segment.phantom.from_labels.structures import tissue_of
from segment.phantom.from_labels.synthesis import synthesise
from segment.phantom.tissues import CODES as TISSUE_CODES

STRUCTURES = tissue_of(list(CODES), {}, "x")
NUMBER = {name: number for number, name in enumerate(STRUCTURES, start=1)}
SPACING = np.array([6.0, 6.0, 6.0])
VOXEL_ML = float(np.prod(SPACING)) / 1000


@pytest.fixture(scope="module")
def body():
    hu, label = labelled_body.trunk()
    lookup = np.zeros(10, np.uint8)
    for name, number in NUMBER.items():
        lookup[CODES[name]] = number
    return build_body(lookup[label], STRUCTURES, hu, np.array(SPACING_MM), 0)


def volumes_ml(structure, voxel_ml):
    return {name: float((structure == number).sum()) * voxel_ml for name, number in NUMBER.items()}


@settings(deadline=None, max_examples=25)
@given(seed=st.integers(0, 2**32 - 1))
def test_organs_keep_their_sides_and_about_their_volumes(body, seed):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(synthesis, "WHOLE", 2)  # every CT shows the whole body
        scan = synthesise(body, SPACING, np.random.default_rng(seed))
    before = volumes_ml(body.structure, float(np.prod(SPACING_MM)) / 1000)
    for name, after in volumes_ml(scan.structure, VOXEL_ML).items():
        if name != "aorta":  # the ends of the map cut it
            assert 0.4 < after / before[name] < 2.4
    middles = {name: np.argwhere(scan.structure == NUMBER[name])[:, 0].mean() for name in NUMBER}
    assert middles["liver"] > middles["aorta"] > middles["spleen"]
    assert middles["right_kidney"] > middles["left_kidney"]


@settings(deadline=None, max_examples=15)
@given(seed=st.integers(0, 2**32 - 1))
def test_a_ct_is_hu_of_tissues_on_one_grid_and_the_same_for_the_same_seed(body, seed):
    scan = synthesise(body, SPACING, np.random.default_rng(seed))
    assert scan.hu.shape == scan.structure.shape == scan.tissue.shape
    assert scan.hu.dtype == np.int16
    assert scan.hu.min() < -900
    assert scan.structure.max() <= body.annotated
    assert scan.tissue.max() < len(TISSUE_CODES)
    again = synthesise(body, SPACING, np.random.default_rng(seed))
    for name in ("hu", "structure", "tissue", "affine"):
        np.testing.assert_array_equal(getattr(scan, name), getattr(again, name))
    inside = scan.tissue[scan.structure == NUMBER["spleen"]]
    assert set(inside.tolist()) <= {TISSUE_CODES["spleen"], TISSUE_CODES["cyst"]}


def test_fields_of_view_are_whole_or_cut_at_both_ends(body):
    lengths, tops = [], []
    for seed in range(60):
        rng = np.random.default_rng(seed)
        shape, middle_mm = synthesis._field_of_view(body, np.eye(3), SPACING, rng)
        lengths.append(shape[2] * 6)
        tops.append(middle_mm[2] + shape[2] * 3)
    whole = 40 * 7
    assert 12 < sum(length > whole - 7 for length in lengths) < 40
    assert min(lengths) >= synthesis.SHORTEST_MM - 6
    assert min(tops) < 60
    assert max(tops) == pytest.approx(140, abs=4)


def test_without_deformation_nothing_moves():
    structure = np.zeros((30, 30, 30), np.uint8)
    structure[5:25, 5:25] = 1
    body = LabelledBody(structure, ("", "muscle"), 1, np.zeros_like(structure), np.array([6.0, 6.0, 6.0]))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(synthesis, "WHOLE", 2)
        scan = synthesise(body, SPACING, np.random.default_rng(0), strength=0)
    assert scan.structure.shape[2] == 30
    assert 0.8 * 20 * 20 * 30 < (scan.structure == 1).sum() <= 20 * 20 * 30  # the field of view may be off-centre


@pytest.mark.parametrize("organ", ORGANS)
@pytest.mark.parametrize("spacing", [1.0, 3.0, 8.0])
def test_an_organ_is_drawn_inside_of_itself_only_and_completely(organ, spacing):
    mask = np.zeros((24, 20, 16), bool)
    mask[4:20, 4:16, 3:16] = True
    for seed in range(4):
        tissue = np.full(mask.shape, 255, np.uint8)
        draw(organ, Part(mask, tissue, np.full(3, spacing), np.random.default_rng(seed)))
        assert (tissue[~mask] == 255).all()
        assert (tissue[mask] < len(TISSUE_CODES)).all()


@pytest.mark.parametrize("organ", ORGANS)
def test_an_organ_of_one_voxel_can_be_drawn(organ):
    mask = np.zeros((5, 4, 3), bool)
    mask[2, 2, 2] = True
    tissue = np.full(mask.shape, 255, np.uint8)
    draw(organ, Part(mask, tissue, np.array([2.0, 2.0, 2.0]), np.random.default_rng(0)))
    assert tissue[2, 2, 2] < len(TISSUE_CODES)
