from dataclasses import replace
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
import torso
from torso import AFFINE, found, write_case

from segment.doctor.header import check_header
from segment.io.scan import Scan, geometry_header


def header(change):
    return lambda image: change(image.header)


def test_a_clean_case_has_no_findings(tmp_path):
    assert found(write_case(tmp_path)) == set()


@pytest.mark.parametrize("axes", [(0, 1, 2), (2, 1, 0), (1, 2, 0)])
@pytest.mark.parametrize("flips", [(1, 1, 1), (-1, -1, 1), (-1, 1, -1)])
def test_a_clean_case_has_no_findings_in_any_orientation(tmp_path, axes, flips):
    turn = np.array([axes, flips]).T
    hu, label = (nib.orientations.apply_orientation(volume, turn) for volume in torso.torso())
    affine = AFFINE @ nib.orientations.inv_ornt_aff(turn, torso.SHAPE)
    assert found(write_case(tmp_path, hu=hu, label=label, affine=affine)) == set()


def test_a_qform_some_millimetres_off_is_a_warning(tmp_path):
    moved = AFFINE.copy()
    moved[0, 3] += 4
    assert found(write_case(tmp_path, change=lambda image: image.set_qform(moved, 1))) == {
        ("warning", "forms disagree", "")
    }


def test_a_qform_that_exchanges_left_and_right_is_an_error(tmp_path):
    mirrored = AFFINE.copy()
    mirrored[0] *= -1
    assert found(write_case(tmp_path, change=lambda image: image.set_qform(mirrored, 1))) == {
        ("error", "forms disagree", "")
    }


def test_no_form_at_all_is_a_warning(tmp_path):
    def remove_forms(image):
        image.set_sform(None, 0)
        image.set_qform(None, 0)

    assert ("warning", "no orientation", "") in found(write_case(tmp_path, change=remove_forms))


def test_a_gantry_tilt_is_a_warning(tmp_path):
    sheared = AFFINE.copy()
    sheared[1, 2] = 0.3  # of 3.0: about 6 degrees
    case = write_case(tmp_path, affine=sheared, change=lambda image: image.set_qform(None, 0))
    assert {finding for finding in found(case) if finding[0] != "note"} >= {("warning", "sheared axes", "")}


def test_only_a_strongly_rotated_scan_is_a_warning(tmp_path):
    def rotated(degrees):
        c, s = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
        return np.array([[1, 0, 0, 0], [0, c, -s, 0], [0, s, c, 0], [0, 0, 0, 1]]) @ AFFINE

    assert ("warning", "oblique axes", "") in found(write_case(tmp_path / "far", affine=rotated(40)))
    assert found(write_case(tmp_path / "near", affine=rotated(10))) == set()


def scaled(*factors):
    affine = AFFINE.copy()
    affine[:3, :3] *= factors
    return affine


def test_a_spacing_in_centimetres_is_an_error(tmp_path):
    assert ("error", "extent", "") in found(write_case(tmp_path, affine=scaled(0.1, 0.1, 0.1)))


def test_a_normal_field_in_coarse_voxels_is_a_note(tmp_path):
    hu, label = (volume[::2, ::2] for volume in torso.torso())
    case = write_case(tmp_path, hu=hu, label=label, affine=scaled(2, 2, 1))
    assert found(case) == {("note", "spacing", "")}


def test_slices_too_far_apart_are_an_error(tmp_path):
    assert ("error", "extent", "") in found(write_case(tmp_path, affine=scaled(1, 1, 10)))


def test_a_lost_spacing_is_a_warning(tmp_path):
    hu = np.resize(torso.torso()[0], (512, 512, 40))
    case = write_case(tmp_path, hu=hu, affine=np.eye(4))  # the label has another shape
    assert found(case) == {("warning", "spacing", ""), ("error", "label grid", "")}


def test_pixdim_that_contradicts_the_affine_is_a_warning(tmp_path):
    def change(image):
        image.set_qform(None, 0)
        image.header["pixdim"][1:4] = 1

    case = write_case(tmp_path, change=change)
    assert found(case) == {("warning", "pixdim", "")}
    image = nib.load(case.image, mmap=False)  # fixed by following the remedy, with sizes different from both
    image.set_sform(AFFINE * [[1.1], [1.1], [1.1], [1]], 1)
    image.header.set_zooms([1.1 * mm for mm in torso.SPACING])
    nib.save(image, case.image)
    assert ("warning", "pixdim", "") not in found(case)


def test_an_origin_metres_away_is_a_warning(tmp_path):
    far = AFFINE.copy()
    far[2, 3] = 1e5
    assert found(write_case(tmp_path, affine=far)) == {("warning", "origin", "")}


def test_unknown_units_are_a_note(tmp_path):
    change = header(lambda h: h.__setitem__("xyzt_units", 0))
    assert found(write_case(tmp_path, change=change)) == {("note", "units", "")}


def test_a_few_slices_are_a_warning(tmp_path):
    hu, label = (volume[..., 60:64] for volume in torso.torso())
    assert ("warning", "few slices", "") in found(write_case(tmp_path, hu=hu, label=label))


@pytest.mark.parametrize(
    ("name", "is_folder", "again"),
    [("ct.nrrd", False, "convert the CT again from DICOM"), ("series", True, "export the series again")],
)
def test_remedies_depend_on_the_format(tmp_path, name, is_folder, again):
    # A qform cannot be sheared, so the qform of the computed header disagrees with its sform.
    sheared = AFFINE.copy()
    sheared[1, 2], sheared[2, 3] = 0.3, 1e5
    shape = (130, 100, 100)
    scan = Scan(np.zeros(shape, np.int16), sheared, geometry_header(shape, sheared), shape)
    image = Path(tmp_path / name)
    if is_folder:
        image.mkdir()
    findings = {finding.check: finding.remedy for finding in check_header("set/a", scan, image)}
    assert findings["origin"] == f"correct the origin in the header, or {again}"
    assert findings.keys() == {"sheared axes", "origin"}


def test_unknown_axes_are_a_warning_in_any_format(tmp_path):
    scan = Scan(np.zeros(torso.SHAPE, np.int16), AFFINE, geometry_header(torso.SHAPE, AFFINE, False), torso.SHAPE)
    (finding,) = check_header("set/a", replace(scan, is_oriented=False), tmp_path / "ct.nrrd")
    assert (finding.severity, finding.check) == ("warning", "no orientation")
