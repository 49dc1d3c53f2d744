import itertools

import nibabel as nib
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from organ_masks import ORGANS, SHAPE, affine, default_clean_up, draw, turned, usual
from skimage.measure import label, regionprops

from segment.errors import UserError
from segment.inference.postprocess import clean_up
from segment.inference.postprocess.clean_up import CleanUp
from segment.inference.postprocess.steps import FillHoles, RemoveFragments, RemoveSmall

MASKS = hnp.arrays(np.uint8, hnp.array_shapes(min_dims=3, max_dims=3, max_side=7), elements=st.integers(0, 4))
# 1 voxel has 20 mL, so that all steps find something to do in a few voxels.
AFFINE = np.diag([-20.0, 20.0, 50.0, 1.0])
TURNS = [
    np.array(list(zip(order, signs, strict=True)), float)
    for order, signs in itertools.product(itertools.permutations(range(3)), itertools.product((1, -1), repeat=3))
]
DEFAULT = default_clean_up()
DEFAULT.steps["holes"] = FillHoles(100.0)


def without_fragments(mask, min_share):
    return CleanUp(["a", "b", "c"], {"fragments": RemoveFragments(min_share)}, {})(mask, np.eye(4))


def line(text):
    """A mask along one axis with one digit per voxel."""
    return np.array([int(c) for c in text], np.uint8)[:, None, None]


@pytest.mark.parametrize(
    ("min_share", "before", "after"),
    [
        (1, "1110110100222202", "1110000000222200"),
        (0.5, "1110110100222202", "1110110000222200"),  # pieces of 2 of 3 stay, of 1 of 3 and 1 of 4 go
        (0.25, "1110110100222202", "1110110100222202"),  # a piece of exactly the share stays
        (1, "0110110", "0110110"),  # two equal pieces are both the largest
        (1, "0000", "0000"),
        (1, "1121113", "0021113"),  # another organ separates the pieces and is kept
    ],
)
def test_pieces_below_the_share_are_removed(min_share, before, after):
    assert np.array_equal(without_fragments(line(before), min_share), line(after))


def test_corners_and_edges_do_not_connect():
    mask = np.zeros((3, 3, 3), np.uint8)
    mask[0, 0, 0] = mask[1, 1, 0] = mask[1, 1, 1] = 1
    assert np.argwhere(without_fragments(mask, 1)).tolist() == [[1, 1, 0], [1, 1, 1]]


@settings(deadline=None, max_examples=50)
@given(
    mask=hnp.arrays(np.uint8, hnp.array_shapes(min_dims=3, max_dims=3, max_side=6), elements=st.integers(0, 3)),
    min_share=st.floats(0.01, 1),
)
def test_pieces_equal_those_of_scikit_image(mask, min_share):
    expected = np.zeros_like(mask)
    for index in (1, 2, 3):
        pieces = label(mask == index, connectivity=1)
        regions = regionprops(pieces)
        for region in regions:
            if region.area >= min_share * max(r.area for r in regions):
                expected[pieces == region.label] = index
    assert np.array_equal(without_fragments(mask.copy(), min_share), expected)


@pytest.mark.parametrize("min_share", [0, 1.5, -1])
def test_a_share_out_of_range_is_refused(min_share):
    with pytest.raises(ValueError, match="min_share"):
        RemoveFragments(min_share)


@settings(deadline=None, max_examples=100)
@given(mask=MASKS)
def test_voxels_are_only_removed_or_fill_holes(mask):
    cleaned = DEFAULT(mask.copy(), AFFINE)
    kept = (cleaned == mask) | (cleaned == 0)
    # What is new was a hole, or a removed piece of another organ, inside an organ: it cannot touch the border.
    filled = np.argwhere(~kept)
    assert all(0 < i < n - 1 for voxel in filled for i, n in zip(voxel, mask.shape, strict=True))
    assert not (~mask.any() and cleaned.any())


@settings(deadline=None, max_examples=100)
@given(mask=MASKS)
def test_cleaning_twice_is_cleaning_once(mask):
    once = DEFAULT(mask.copy(), AFFINE)
    assert np.array_equal(DEFAULT(once.copy(), AFFINE), once)


@settings(deadline=None, max_examples=100)
@given(mask=MASKS, turn=st.sampled_from(TURNS))
def test_the_orientation_of_the_grid_does_not_matter(mask, turn):
    stored = nib.orientations.apply_orientation(mask, turn)  # a view, in another order in memory
    cleaned = DEFAULT(stored.copy(order="A"), AFFINE @ nib.orientations.inv_ornt_aff(turn, mask.shape))
    assert np.array_equal(cleaned, nib.orientations.apply_orientation(DEFAULT(mask.copy(), AFFINE), turn))


@pytest.mark.parametrize("turn", TURNS[::5])
def test_organs_in_any_orientation(turn):
    parts = [*usual(), ("liver", ((0, 60, -230), (35, 35, 40))), ("spleen", ((-90, 0, 65), (12, 12, 12)))]
    parts.insert(0, ("left_kidney", ((120, 0, 260), (20, 20, 20))))
    mask = draw(parts)
    mask[tuple(np.argwhere(mask == 1).mean(axis=0).astype(int))] = 0  # a hole in the liver
    stored, stored_affine = turned(mask, turn)
    cleaned = nib.orientations.apply_orientation(DEFAULT.__call__(mask.copy(), affine()), turn)
    assert np.array_equal(default_clean_up()(stored, stored_affine), cleaned)


def test_an_empty_mask_stays_empty():
    assert not default_clean_up()(np.zeros(SHAPE, np.uint8), affine()).any()


def test_a_removed_island_becomes_part_of_the_organ_around_it():
    mask = draw([*usual(), ("spleen", ((53, 48, 62), (8, 8, 8)))])
    assert np.array_equal(default_clean_up()(mask, affine()), draw(usual()))


def test_without_steps_nothing_changes():
    mask = draw(usual())
    assert np.array_equal(CleanUp(ORGANS, {"a": None}, {})(mask.copy(), affine()), mask)


def test_a_step_leaves_out_organs():
    mask = line("1110100222020000")
    steps = {"fragments": RemoveFragments(1)}
    with pytest.raises(UserError, match="names the step holes; the steps are fragments"):
        CleanUp(["a", "b"], steps, {"holes": ["a"]})
    cleaned = CleanUp(["a", "b"], steps, {"fragments": ["a"]})(mask.copy(), np.eye(4))
    assert np.array_equal(cleaned, line("1110100222000000"))


def test_noise_is_left_as_it_is(monkeypatch, caplog):
    mask = np.random.default_rng(0).integers(0, 3, (9, 9, 9), np.uint8)
    monkeypatch.setattr(clean_up, "MAX_RUNS", 100)
    assert np.array_equal(DEFAULT(mask.copy(), AFFINE), mask)
    assert "is not cleaned: it is noise" in caplog.text


@pytest.mark.parametrize("volume", [0, -1.0, float("nan")])
def test_the_smallest_volume_must_be_positive(volume):
    with pytest.raises(UserError, match=r"min_ml\.liver must be a positive number, got"):
        RemoveSmall({"liver": volume})
