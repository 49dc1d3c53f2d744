import nibabel as nib
import numpy as np
import pytest
import torso
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from segment.anatomy.structure import Structure, measure_structures, merge_structures
from segment.io.scan import Scan


@pytest.fixture(scope="module")
def clean():
    return torso.torso()


def scan_of(hu, affine=torso.AFFINE):
    return Scan(hu, affine, nib.Nifti1Header(), hu.shape)


def test_an_ellipsoid_has_the_measurements_that_it_was_made_with(clean):
    """Centres and radii of `torso.PLACES`; the middle of the body is the middle of the volume."""
    hu, label = clean
    found = measure_structures(scan_of(hu), label)
    middle = torso.AFFINE[:3, 3] + (np.array(torso.SHAPE) - 1) / 2 * torso.SPACING
    assert list(found) == [1, 2, 3, 4]
    for organ, code in torso.CODES.items():
        center, radii = torso.PLACES[organ]
        structure = found[code]
        assert structure.volume_ml == pytest.approx(4 / 3 * np.pi * np.prod(radii) / 1000, rel=0.02)
        assert (structure.right_mm, structure.front_mm - middle[1], structure.up_mm - middle[2]) == pytest.approx(
            center, abs=2
        )
        assert structure.median_hu == pytest.approx(torso.HU[organ], abs=2)
        assert (structure.faces, structure.is_cut, structure.off_middle) == ("", False, False)


@settings(max_examples=15, deadline=None)
@given(order=st.permutations(range(3)), flips=st.tuples(*[st.sampled_from([1, -1])] * 3))
def test_the_orientation_of_the_file_does_not_matter(clean, order, flips):
    hu, label = clean
    stored = np.stack([order, flips], axis=1)
    turned = [nib.orientations.apply_orientation(volume, stored) for volume in (hu, label)]
    affine = torso.AFFINE @ nib.orientations.inv_ornt_aff(stored, hu.shape)
    before, after = measure_structures(scan_of(hu), label), measure_structures(scan_of(turned[0], affine), turned[1])
    for code, structure in before.items():
        assert after[code].volume_ml == pytest.approx(structure.volume_ml)
        for axis in ("right_mm", "front_mm", "up_mm"):
            assert getattr(after[code], axis) == pytest.approx(getattr(structure, axis), abs=4)


def test_faces_of_the_scan_that_a_structure_touches_are_recorded(clean):
    hu, label = (volume[:, :, 40:75] for volume in clean)
    found = measure_structures(scan_of(hu), label)
    assert {code: structure.faces for code, structure in found.items()} == {1: "S", 2: "I", 3: "I", 4: "S"}
    assert found[1].is_cut


def test_voxels_that_all_samples_miss_are_measured():
    hu = np.full((300, 10, 10), -1000, np.int16)
    hu[100:200] = 40
    label = np.zeros(hu.shape, np.uint16)
    label[[0, 251], 5, 5] = 1000  # its box is sampled at every fifth voxel
    (structure,) = measure_structures(scan_of(hu, np.eye(4)), label).values()
    assert structure.right_mm == pytest.approx((0 + 251) / 2 - 149.5, abs=130)
    assert structure.volume_ml == pytest.approx(0.002)


def test_the_midline_of_a_cropped_ct_is_unknown(clean):
    hu, label = (volume[30:60] for volume in clean)
    assert all(structure.off_middle for structure in measure_structures(scan_of(hu), label).values())


def test_an_image_given_as_a_label_map_has_no_structures(clean):
    hu, _ = clean
    assert measure_structures(scan_of(hu), (hu + 1100).clip(0)) == {}
    assert measure_structures(scan_of(hu), np.zeros(hu.shape, np.uint8)) == {}


def test_structures_in_a_grey_image_have_no_hu(clean):
    hu, label = clean
    grey = (hu.clip(-200, 300) + 200) // 2
    assert {structure.median_hu for structure in measure_structures(scan_of(grey), label).values()} == {None}


def test_merged_parts_are_weighted_by_their_volumes():
    one = Structure(30, 10, False, 0, 100, 60, "I")
    other = Structure(10, -10, False, 8, 140, 20, "IL")
    assert merge_structures([one, other]) == Structure(40, 5, False, 2, 110, 50, "IL")


@pytest.mark.parametrize("degrees", [-15, 15])
def test_thick_slices_that_lean_to_a_side_do_not_look_cropped(clean, degrees):
    """From slice to slice, they move further to the right than from column to column."""
    hu, label = (volume[:, :, ::6] for volume in clean)
    turn = np.eye(4)
    turn[:3, :3] = Rotation.from_euler("y", degrees, degrees=True).as_matrix()
    found = measure_structures(scan_of(hu, turn @ torso.AFFINE @ np.diag([1, 1, 6, 1])), label)
    assert len(found) == 4
    assert not any(structure.off_middle for structure in found.values())
