import nibabel as nib
import numpy as np
import pytest
import torso
from hypothesis import given, settings
from hypothesis import strategies as st

from segment.anatomy.place import Place, places, together
from segment.io.scan import Scan


@pytest.fixture(scope="module")
def clean():
    return torso.torso()


def scan_of(hu, affine=torso.AFFINE):
    return Scan(hu, affine, nib.Nifti1Header(), hu.shape)


def test_an_ellipsoid_is_measured_as_it_was_drawn(clean):
    """Centres and radii of `torso.PLACES`; the middle of the body is the middle of the volume."""
    hu, label = clean
    found = places(scan_of(hu), label)
    middle = torso.AFFINE[:3, 3] + (np.array(torso.SHAPE) - 1) / 2 * torso.SPACING
    assert list(found) == [1, 2, 3, 4]
    for organ, code in torso.CODES.items():
        center, radii = torso.PLACES[organ]
        place = found[code]
        assert place.volume_ml == pytest.approx(4 / 3 * np.pi * np.prod(radii) / 1000, rel=0.02)
        assert (place.right_mm, place.front_mm - middle[1], place.up_mm - middle[2]) == pytest.approx(center, abs=2)
        assert place.median_hu == pytest.approx(torso.HU[organ], abs=2)
        assert (place.faces, place.is_cut, place.off_middle) == ("", False, False)


@settings(max_examples=15, deadline=None)
@given(order=st.permutations(range(3)), flips=st.tuples(*[st.sampled_from([1, -1])] * 3))
def test_the_order_of_voxels_does_not_matter(clean, order, flips):
    hu, label = clean
    stored = np.stack([order, flips], axis=1)
    turned = [nib.orientations.apply_orientation(volume, stored) for volume in (hu, label)]
    affine = torso.AFFINE @ nib.orientations.inv_ornt_aff(stored, hu.shape)
    before, after = places(scan_of(hu), label), places(scan_of(turned[0], affine), turned[1])
    for code, place in before.items():
        assert after[code].volume_ml == pytest.approx(place.volume_ml)
        for axis in ("right_mm", "front_mm", "up_mm"):
            assert getattr(after[code], axis) == pytest.approx(getattr(place, axis), abs=4)


def test_ends_of_the_scan_are_noted(clean):
    hu, label = (volume[:, :, 40:75] for volume in clean)
    found = places(scan_of(hu), label)
    assert {code: place.faces for code, place in found.items()} == {1: "S", 2: "I", 3: "I", 4: "S"}
    assert found[1].is_cut


def test_a_single_voxel_has_a_place():
    hu = np.full((300, 10, 10), -1000, np.int16)
    hu[100:200] = 40
    label = np.zeros(hu.shape, np.uint16)
    label[[0, 251], 5, 5] = 1000  # its box is sampled at every fifth voxel
    (place,) = places(scan_of(hu, np.eye(4)), label).values()
    assert place.right_mm == pytest.approx((0 + 251) / 2 - 149.5, abs=130)
    assert place.volume_ml == pytest.approx(0.002)


def test_a_crop_has_no_middle(clean):
    hu, label = (volume[30:60] for volume in clean)
    assert all(place.off_middle for place in places(scan_of(hu), label).values())


def test_an_image_is_no_label_map(clean):
    hu, _ = clean
    assert places(scan_of(hu), (hu + 1100).clip(0)) == {}
    assert places(scan_of(hu), np.zeros(hu.shape, np.uint8)) == {}


def test_grey_levels_have_no_hu(clean):
    hu, label = clean
    grey = (hu.clip(-200, 300) + 200) // 2
    assert {place.median_hu for place in places(scan_of(grey), label).values()} == {None}


def test_parts_are_weighed_by_their_volumes():
    one = Place(30, 10, False, 0, 100, 60, "I")
    other = Place(10, -10, False, 8, 140, 20, "IL")
    assert together([one, other]) == Place(40, 5, False, 2, 110, 50, "IL")
