import itertools
import math
import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage

from segment.errors import UserError
from segment.metrics.scores import OrganScore, mean_scores, score_case

# surface_distance uses deprecated names of scipy and numpy.
with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    import surface_distance


def score(pred, reference, spacing_mm=(1, 1, 1), tolerance_mm=1.0, affine=None):
    affine = np.diag([*spacing_mm, 1.0]) if affine is None else affine
    (result,) = score_case(
        np.asarray(pred, np.uint8), np.asarray(reference, np.uint8), affine, ["heart"], {"heart": tolerance_mm}
    )
    return result


def at(*voxels, shape=(5, 6, 7)):
    mask = np.zeros(shape, np.uint8)
    for voxel in voxels:
        mask[voxel] = 1
    return mask


def blobs(seed, shape, density):
    rng = np.random.default_rng(seed)
    smooth = ndimage.gaussian_filter(rng.normal(size=shape), 1.5)
    return smooth > np.quantile(smooth, 1 - density)


def surface_distance_scores(pred, reference, spacing_mm, tolerance_mm):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        distances = surface_distance.compute_surface_distances(reference, pred, spacing_mm)
    return (
        surface_distance.compute_dice_coefficient(reference, pred),
        surface_distance.compute_robust_hausdorff(distances, 95),
        surface_distance.compute_surface_dice_at_tolerance(distances, tolerance_mm),
    )


def numbers(result):
    return result.dice, result.hd95_mm, result.nsd, result.volume_ml_reference, result.volume_ml_pred


@pytest.mark.parametrize(("axis", "spacing_mm"), list(itertools.product(range(3), [(2, 1, 1), (1, 2, 0.5), (3, 1, 2)])))
def test_two_voxels_one_step_apart(axis, spacing_mm):
    # The surface of a voxel is at its eight corners. The two voxels share four of them. The other four corners of each
    # voxel are one step away from the nearest corner of the other voxel.
    step = [0, 0, 0]
    step[axis] = 1
    result = score(at((1, 2, 3)), at((1 + step[0], 2 + step[1], 3 + step[2])), spacing_mm, spacing_mm[axis] * 0.99)
    assert result.dice == 0
    assert result.hd95_mm == spacing_mm[axis]
    assert result.nsd == pytest.approx(0.5)


def test_two_voxels_two_millimetres_apart_diagonally():
    # Steps (1, 1, 0) of 1.2 and 1.6 mm. Corners of one voxel are 0 mm (2 of 8), 1.2 (2), 1.6 (2) and 2 mm (2) away.
    pred, reference, spacing_mm = at((1, 2, 3)), at((2, 3, 3)), (1.2, 1.6, 2.0)
    assert score(pred, reference, spacing_mm).hd95_mm == pytest.approx(2.0)
    shares = [score(pred, reference, spacing_mm, tolerance_mm).nsd for tolerance_mm in (0, 1.3, 1.7, 1.9999, 2.0001)]
    assert shares == pytest.approx([0.25, 0.5, 0.75, 0.75, 1.0])


def test_dice_and_volumes_by_hand():
    result = score(at((0, 0, 0), (0, 0, 1)), at((0, 0, 1), (0, 0, 2), (0, 0, 3)), (0.5, 2, 10))
    assert result.dice == pytest.approx(2 / 5)
    assert result.volume_ml_pred == pytest.approx(0.02)
    assert result.volume_ml_reference == pytest.approx(0.03)


def test_equal_masks():
    mask = blobs(0, (9, 10, 11), 0.3)
    assert numbers(score(mask, mask, tolerance_mm=0))[:3] == (1, 0, 1)


def test_an_organ_in_neither_mask_is_nan():
    result = score(at(), at())
    assert all(math.isnan(value) for value in (result.dice, result.hd95_mm, result.nsd))
    assert (result.volume_ml_reference, result.volume_ml_pred) == (0, 0)


@pytest.mark.parametrize("missed", [True, False])
def test_an_organ_in_only_one_mask_scores_0_and_has_no_distance(missed):
    some, none = at((1, 1, 1)), at()
    result = score(none, some) if missed else score(some, none)
    assert (result.dice, result.nsd) == (0, 0)
    assert math.isnan(result.hd95_mm)


@settings(max_examples=60, deadline=None)
@given(
    seed=st.integers(0, 10_000),
    shape=st.tuples(*[st.integers(2, 14)] * 3),
    spacing_mm=st.tuples(*[st.sampled_from([0.5, 0.703125, 0.8, 1.0, 2.5, 5.0])] * 3),
    density=st.tuples(*[st.sampled_from([0.02, 0.2, 0.6, 0.95])] * 2),
    tolerance_mm=st.sampled_from([0.0, 0.8, 1.0, 2.5, 3.0]),
)
def test_equals_surface_distance(seed, shape, spacing_mm, density, tolerance_mm):
    pred, reference = blobs(seed, shape, density[0]), blobs(seed + 1, shape, density[1])
    pred[0, 0, 0] = reference[-1, -1, -1] = True  # the definitions differ for empty masks
    result = score(pred, reference, spacing_mm, tolerance_mm)
    expected = surface_distance_scores(pred, reference, spacing_mm, tolerance_mm)
    # The area table here is float32. If the percentile is between two distances, rounding may select the other one.
    assert (result.dice, result.nsd) == pytest.approx((expected[0], expected[2]), abs=1e-6)
    assert result.hd95_mm == pytest.approx(expected[1], abs=1e-9)


@settings(max_examples=25, deadline=None)
@given(
    seed=st.integers(0, 10_000), before=st.tuples(*[st.integers(0, 4)] * 3), after=st.tuples(*[st.integers(0, 4)] * 3)
)
def test_background_around_an_organ_changes_nothing(seed, before, after):
    # This also shows that an organ cut by the border of the scan has a closed surface there.
    pred, reference = np.ones((4, 5, 6), bool), blobs(seed, (4, 5, 6), 0.5)
    margins = list(zip(before, after, strict=True))
    spacing_mm = (0.7, 0.8, 2.5)
    assert numbers(score(pred, reference, spacing_mm)) == numbers(
        score(np.pad(pred, margins), np.pad(reference, margins), spacing_mm)
    )


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 10_000), order=st.permutations(range(3)), flips=st.tuples(*[st.sampled_from([1, -1])] * 3))
def test_scores_do_not_depend_on_orientation_or_on_the_order_of_the_masks(seed, order, flips):
    pred, reference, spacing_mm = (
        blobs(seed, (7, 8, 9), 0.3),
        blobs(seed + 1, (7, 8, 9), 0.3),
        np.array([0.7, 1.5, 2.5]),
    )
    turned = [mask.transpose(order)[tuple(slice(None, None, f) for f in flips)] for mask in (pred, reference)]
    expected = numbers(score(pred, reference, spacing_mm))
    assert numbers(score(*turned, spacing_mm[list(order)])) == pytest.approx(expected, abs=1e-6)
    dice, hd95_mm, nsd, volume_ml_reference, volume_ml_pred = numbers(score(reference, pred, spacing_mm))
    assert (dice, hd95_mm, nsd, volume_ml_pred, volume_ml_reference) == pytest.approx(expected, abs=1e-9)


@pytest.mark.parametrize("degrees", [0, 30, 90, 137])
def test_a_rotated_grid_scores_the_same(degrees):
    pred, reference = blobs(3, (9, 10, 11), 0.3), blobs(4, (9, 10, 11), 0.3)
    c, s = math.cos(math.radians(degrees)), math.sin(math.radians(degrees))
    rotation = np.array([[c, -s, 0], [s, c, 0], [0, 0, -1]])
    affine = np.eye(4)
    affine[:3, :3] = (rotation @ np.diag([0.6, 0.6, 3.0])).astype(np.float32)  # as a header stores it
    expected = numbers(score(pred, reference, (0.6, 0.6, 3.0), tolerance_mm=3.0))
    assert numbers(score(pred, reference, tolerance_mm=3.0, affine=affine)) == pytest.approx(expected, abs=1e-6)


def test_float32_headers_do_not_push_surfaces_beyond_the_tolerance():
    affine = np.diag(np.array([0.6, 0.6, 0.6, 1], np.float32)).astype(np.float64)
    slab = np.zeros((12, 3, 3), np.uint8)
    pred, reference = slab.copy(), slab.copy()
    pred[1], reference[6] = 1, 1  # five steps of 0.6 mm
    assert score(pred, reference, tolerance_mm=3.0, affine=affine).nsd == 1


def test_distances_and_volumes_are_exact_in_a_sheared_grid():
    affine = np.diag([1.0, 1.0, 2.0, 1.0])
    affine[1, 2] = 1.0  # a step along k also moves 1 mm along y
    result = score(at((2, 2, 1)), at((2, 2, 2)), affine=affine)
    assert result.hd95_mm == pytest.approx(math.sqrt(5))
    assert result.volume_ml_reference == pytest.approx(0.002)


def test_every_organ_has_its_own_index_and_tolerance():
    reference, pred = at((1, 1, 1)), at((1, 1, 1))
    reference[3, 3, 3], pred[3, 3, 4] = 2, 2
    heart, bone, left = score_case(
        pred, reference, np.eye(4), ["heart", "bone", "left"], {"heart": 0, "bone": 1, "left": 1}
    )
    assert (heart.organ, bone.organ, left.organ) == ("heart", "bone", "left")
    assert (heart.dice, heart.nsd, bone.dice, bone.nsd) == (1, 1, 0, 1)
    assert math.isnan(left.dice)


def test_an_organ_that_is_not_annotated_has_a_predicted_volume_and_no_score():
    reference, pred = at((1, 1, 1)), at((1, 1, 1))
    pred[3, 3, 4] = 2
    heart, bone = score_case(
        pred, reference, np.eye(4), ["heart", "bone"], {"heart": 0, "bone": 1}, [True, True, False]
    )
    assert (heart.dice, heart.volume_ml_reference) == (1, 0.001)
    assert all(math.isnan(value) for value in (bone.dice, bone.hd95_mm, bone.nsd, bone.volume_ml_reference))
    assert bone.volume_ml_pred == 0.001
    assert mean_scores([[heart, bone]])["dice/mean"] == 1


def test_missing_tolerances_and_different_shapes_are_refused():
    with pytest.raises(UserError, match="tolerance_mm has no value for heart"):
        score_case(at(), at(), np.eye(4), ["heart"], {})
    with pytest.raises(ValueError, match=r"\(5, 6, 7\) and \(5, 6, 8\)"):
        score_case(at(), at(shape=(5, 6, 8)), np.eye(4), ["heart"], {"heart": 1})


def case(heart, bone):
    return [OrganScore("heart", heart, 2.0, heart, 1, 1), OrganScore("bone", bone, math.nan, bone, 1, 1)]


def test_means_are_over_patients_then_over_organs():
    means = mean_scores([case(0.8, math.nan), case(0.6, 0.1), case(1.0, math.nan)])
    assert means == {
        "dice/heart": pytest.approx(0.8),
        "dice/bone": pytest.approx(0.1),
        "dice/mean": pytest.approx(0.45),
        "hd95_mm/heart": 2.0,
        "hd95_mm/bone": pytest.approx(math.nan, nan_ok=True),
        "hd95_mm/mean": 2.0,
        "nsd/heart": pytest.approx(0.8),
        "nsd/bone": pytest.approx(0.1),
        "nsd/mean": pytest.approx(0.45),
    }


def test_mean_scores_without_cases_is_empty():
    assert mean_scores([]) == {}
