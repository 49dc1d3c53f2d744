import re

import numpy as np
import pytest
import torso
from torso import AFFINE, ORGANS, found, write_case

from segment.datasets.annotation_files import LabelFile
from segment.datasets.cases import Case
from segment.doctor.inspect_case import inspect


@pytest.fixture(scope="module")
def clean():
    return torso.torso()


def recoded(tmp_path, clean, codes):
    return write_case(tmp_path, hu=clean[0], label=np.array(codes, np.uint8)[clean[1]])


def test_swapped_kidneys_are_not_reported_as_mirrored(tmp_path, clean):
    case = recoded(tmp_path, clean, [0, 1, 3, 2, 4])
    (finding,) = inspect(case, ORGANS, torso.ANATOMY).findings
    assert (finding.severity, finding.check) == ("error", "swapped labels")
    assert (
        finding.what == "right_kidney, left_kidney lie on the wrong side, other organs do not: their labels are swapped"
    )


def test_a_mirrored_image_with_its_label_is_not_reported_as_swapped(tmp_path, clean):
    case = write_case(tmp_path, hu=clean[0][::-1], label=clean[1][::-1])
    (finding,) = inspect(case, ORGANS, torso.ANATOMY).findings
    assert (finding.severity, finding.check) == ("error", "mirrored")
    assert finding.what.startswith("all of liver, right_kidney, left_kidney, spleen lie on the wrong side")


def test_a_wrong_sign_in_the_affine_is_reported_as_mirrored(tmp_path, clean):
    affine = np.diag([-1, 1, 1, 1]) @ AFFINE
    assert found(write_case(tmp_path, hu=clean[0], label=clean[1], affine=affine)) == {("error", "mirrored", "")}


def test_a_label_mirrored_on_its_ct_is_an_error(tmp_path, clean):
    checks = {check for severity, check, _ in found(write_case(tmp_path, hu=clean[0], label=clean[1][::-1]))}
    assert "mirrored" in checks


def test_two_organs_on_the_wrong_sides_may_be_swapped_or_mirrored(tmp_path, clean):
    label = np.array([0, 0, 3, 2, 0], np.uint8)[clean[1]]
    case = write_case(tmp_path, hu=clean[0], label=label)
    kidneys = Case(case.id, case.id, case.image, LabelFile(case.label.path, {"right_kidney": 2, "left_kidney": 3}))
    assert found(kidneys) == {("error", "sides", "")}


def test_one_organ_on_the_wrong_side_is_named(tmp_path, clean):
    organs = {name: ellipsoid for name, ellipsoid in torso.PLACES.items() if name != "right_kidney"}
    organs["spleen"] = ((95, -75, -60), (40, 20, 45))
    hu, label = torso.torso(organs)
    findings = inspect(write_case(tmp_path, hu=hu, label=label), ORGANS, torso.ANATOMY).findings
    (finding,) = (f for f in findings if f.check == "sides")
    assert re.fullmatch("spleen lies 9\\d mm on the wrong side of the body's middle", finding.what)


@pytest.mark.parametrize("part", [slice(0, 105), slice(30, None)])
def test_a_field_that_excludes_part_of_one_side_has_no_findings(tmp_path, clean, part):
    hu, label = (volume[part] for volume in clean)
    checks = {check for _, check, _ in found(write_case(tmp_path, hu=hu, label=label))}
    assert not checks & {"sides", "mirrored", "swapped labels"}


def test_an_impossible_order_is_found_near_the_middle(tmp_path):
    """Neither is far beyond the middle, but the left kidney is to the right of the right one."""
    organs = {"right_kidney": ((-8, -30, -60), (7, 28, 50)), "left_kidney": ((8, -30, -60), (7, 28, 50))}
    hu, label = torso.torso(organs)
    assert ("error", "sides", "") in found(write_case(tmp_path, hu=hu, label=label))


def test_organs_without_a_side_are_not_checked(tmp_path, clean):
    case = write_case(tmp_path, hu=clean[0][::-1], label=clean[1][::-1])
    anatomy = torso.Anatomy(**vars(torso.ANATOMY) | {"right": [], "left": [], "centre_mm": {}})
    assert found(case, anatomy=anatomy) == set()


def test_a_ct_cropped_to_one_side_has_no_middle(tmp_path, clean):
    """The left kidney is on the right of the crop's middle."""
    case = write_case(tmp_path, hu=clean[0][18:52], label=clean[1][18:52])
    checks = {check for _, check, _ in found(case)}
    assert not checks & {"sides", "mirrored", "swapped labels", "position"}


def test_the_left_tip_of_a_liver_that_the_scan_cuts_may_lie_beside_the_left_kidney(tmp_path):
    """The rest of the liver is to the right of the field of view, so its centre is not known."""
    organs = {"liver": ((0, 20, -20), (100, 50, 60)), "left_kidney": ((-30, -60, -40), (12, 20, 40))}
    hu, label = (volume[18:59] for volume in torso.torso(organs))
    checks = {check for _, check, _ in found(write_case(tmp_path, hu=hu, label=label))}
    assert not checks & {"sides", "mirrored", "swapped labels", "position"}
