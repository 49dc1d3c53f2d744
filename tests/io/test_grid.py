import itertools
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from segment.errors import UserError
from segment.io.grid import GRID_TOLERANCE, Grid, axis_along, check_geometry, check_same_grid, find_placement, reorder

ORDERS = list(itertools.product(itertools.permutations(range(3)), itertools.product([1, -1], repeat=3)))
SHAPE = (4, 5, 6)


def affine_of(angles=(0, 0, 0), spacing_mm=(0.7, 0.8, 2.5), shear=0.0):
    affine = np.eye(4)
    affine[:3, :3] = Rotation.from_euler("xyz", angles, degrees=True).as_matrix() @ np.diag(spacing_mm)
    affine[:3, 2] += shear * affine[:3, 1]
    affine[:3, 3] = (-120.3, 77.7, -340.1)
    return affine


def store_in_order(volume, affine, order, flips):
    """Return the same voxels in another order with the matching affine, derived from the position of each voxel."""
    stored = volume.transpose(order)[tuple(slice(None, None, flip) for flip in flips)]
    # Voxel of the stored volume → voxel of the volume: column a moves along the volume's axis order[a].
    back = np.zeros((4, 4))
    back[3, 3] = 1
    for axis, (source, flip) in enumerate(zip(order, flips, strict=True)):
        back[source, axis] = flip
        back[source, 3] = 0 if flip > 0 else volume.shape[source] - 1
    return stored, affine @ back


@given(
    which=st.sampled_from(ORDERS),
    shape=st.tuples(*[st.integers(1, 7)] * 3),
    angles=st.tuples(*[st.floats(-180, 180)] * 3),
    spacing_mm=st.tuples(*[st.floats(0.3, 8)] * 3),
    shear=st.floats(-0.3, 0.3),
)
@settings(max_examples=200, deadline=None)
def test_a_label_in_any_order_is_restored_voxel_for_voxel(which, shape, angles, spacing_mm, shear):
    affine = affine_of(angles, spacing_mm, shear)
    volume = np.arange(np.prod(shape)).reshape(shape)
    stored, stored_affine = store_in_order(volume, affine, *which)
    # Headers are float32.
    label = Grid(stored.shape, stored_affine.astype(np.float32).astype(float))
    placement = check_same_grid(label, Grid(shape, affine), "label", "ct")
    np.testing.assert_array_equal(reorder(stored, placement), volume)
    assert placement.is_reordered == (which != ORDERS[0])
    assert placement.offset_mm < 1e-3


@pytest.mark.parametrize(("order", "flips"), ORDERS)
def test_the_48_orders_agree_with_nibabel(order, flips):
    volume = np.arange(120).reshape(SHAPE)
    stored, affine = store_in_order(volume, np.eye(4), order, flips)
    canonical = nib.as_closest_canonical(nib.Nifti1Image(stored.astype(np.int32), affine))
    np.testing.assert_array_equal(np.asarray(canonical.dataobj), volume)
    placement = find_placement(Grid(stored.shape, affine), Grid(SHAPE, np.eye(4)))
    np.testing.assert_array_equal(reorder(stored, placement), volume)


@pytest.mark.parametrize(
    ("spacing_mm", "stated_mm", "origin_mm", "shape", "voxels"),
    [
        ((0.7, 0.7, 5), (0.7, 0.7, 5), (0.02, 0, 0), (512, 512, 100), 0.02 / 0.7),
        ((2.9296875, 2.9296875, 5), (2.93, 2.93, 5), (0, 0, 0), (160, 160, 60), 159 * (2.93 / 2.9296875 - 1)),
        ((0.7, 0.7, 5), (0.7, 0.7, 5), (0, 0, 0.45), (512, 512, 100), 0.09),
    ],
)
def test_rounded_headers_are_the_same_grid(spacing_mm, stated_mm, origin_mm, shape, voxels):
    image, label = affine_of(spacing_mm=spacing_mm), affine_of(spacing_mm=stated_mm)
    label[:3, 3] += origin_mm
    placement = check_same_grid(Grid(shape, label), Grid(shape, image), "label", "ct")
    assert placement.offset_voxels == pytest.approx(voxels, rel=1e-6)
    assert placement.offset_voxels < GRID_TOLERANCE


@given(
    angles=st.tuples(*[st.floats(-20, 20)] * 3),
    noise=st.lists(st.floats(-0.002, 0.002), min_size=12, max_size=12),
    voxel=st.tuples(*[st.floats(0, 1)] * 3),
)
@settings(max_examples=100, deadline=None)
def test_no_voxel_is_further_off_than_the_corners(angles, noise, voxel):
    image, shape = affine_of(angles), (200, 100, 50)
    label = image.copy()
    label[:3] += np.reshape(noise, (3, 4))
    placement = find_placement(Grid(shape, label), Grid(shape, image))
    index = [*(np.array(voxel) * (np.array(shape) - 1)), 1]
    offset = (label @ index - image @ index)[:3]
    assert np.linalg.norm(offset) <= placement.offset_mm + 1e-9
    assert np.abs(np.linalg.inv(image[:3, :3]) @ offset).max() <= placement.offset_voxels + 1e-9


def test_rounding_that_adds_up_to_most_of_a_voxel_is_refused():
    image, label = affine_of(spacing_mm=(0.78125, 0.78125, 5)), affine_of(spacing_mm=(0.78, 0.78, 5))
    with pytest.raises(UserError, match=r"l is up to 0\.903 mm \(0\.82 voxels\) away from its CT c: affines"):
        check_same_grid(Grid((512, 512, 9), label), Grid((512, 512, 9), image), "l", "c")


def test_another_order_is_refused_without_stated_directions():
    turned = np.diag([-1.0, 1, 1, 1])
    turned[0, 3] = 3
    known, guessed = Grid(SHAPE, np.eye(4)), Grid(SHAPE, turned, is_oriented=False)
    with pytest.raises(
        UserError, match=r"different orders, but label\.nii does not .* run; save it again, in its CT's"
    ):
        check_same_grid(guessed, known, "label.nii", "ct.nii")
    with pytest.raises(UserError, match=r"but ct.nii does not .* run; convert it again from DICOM"):
        check_same_grid(known, guessed, "label.nii", "ct.nii")
    assert not check_same_grid(guessed, guessed, "label.nii", "ct.nii").is_reordered


@pytest.mark.parametrize(
    ("spacing_mm", "message"),
    [
        ((0, 1, 1), "a voxel size of 0x1x1 mm; copy or convert it again from its original"),
        ((1, -3, 1), "a voxel size of 1x-3x1 mm"),
        ((1, np.nan, 1), r"a voxel size of 1x\?x1 mm"),
        ((1, 1, np.inf), "a voxel size of 1x1xinf mm"),
        ((1, 1, 3000), "a voxel size of 1x1x3000 mm"),
        ((1, 1, 0.001), "a voxel size of 1x1x0.001 mm"),
        ((1, 1, 1.1), "a voxel size of 1x1x1.1 mm, but its axes 1x1x1 mm"),
    ],
)
def test_impossible_voxel_sizes_are_refused(spacing_mm, message):
    with pytest.raises(UserError, match=f"a.nii states {message}"):
        check_geometry(Path("a.nii"), np.eye(4), spacing_mm)
    check_geometry(Path("a.nii"), np.eye(4), (1, 1, 1))


@pytest.mark.parametrize("angles", [(0, 0, 0), (20, 0, 0), (0, -20, 0), (10, 10, 10)])
@pytest.mark.parametrize("order", list(itertools.permutations(range(3))))
def test_an_axis_is_found_by_its_direction_whatever_its_spacing(angles, order):
    """Slices of 10 mm that lean by 20 degrees move by 3.4 mm to the side, more than a pixel of 0.7 mm."""
    affine = affine_of(angles, (0.7, 0.8, 10.0))[:, [*order, 3]]
    assert [axis_along(affine, world) for world in range(3)] == [order.index(world) for world in range(3)]
