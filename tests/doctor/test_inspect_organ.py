import numpy as np
import pytest
import torso
from torso import ORGANS, PLACES, ball, found, write_case

from segment.anatomy.anatomy import Anatomy
from segment.doctor.inspect_case import inspect
from segment.errors import UserError


@pytest.fixture(scope="module")
def clean():
    return torso.torso()


def changed(tmp_path, clean, change):
    label = clean[1].copy()
    change(label)
    return write_case(tmp_path, hu=clean[0], label=label)


def test_an_absent_organ_is_a_note(tmp_path, clean):
    case = changed(tmp_path, clean, lambda label: np.putmask(label, label == 4, 0))
    assert found(case) == {("note", "absent", "spleen")}


def test_an_empty_label_is_a_warning(tmp_path, clean):
    assert found(changed(tmp_path, clean, lambda label: label.fill(0))) == {("warning", "empty label", "")}


def test_a_volume_out_of_range_is_a_warning_with_the_volume(tmp_path, clean):
    small = torso.torso(PLACES | {"spleen": ((-95, -15, 40), (17, 17, 17))})
    case = write_case(tmp_path, hu=small[0], label=small[1])
    (finding,) = inspect(case, ORGANS, torso.ANATOMY).findings
    voxels = np.count_nonzero(small[1] == 4)
    assert finding.what == f"spleen has {voxels * 0.02523:.3g} mL, not 30 to 2500 mL"  # 2.9 · 2.9 · 3 mm
    assert (finding.severity, finding.check, finding.organ) == ("warning", "volume", "spleen")


def test_one_speck_is_a_note_and_several_are_a_warning(tmp_path, clean):
    one = changed(tmp_path / "one", clean, lambda label: label.__setitem__((10, 50, 50), 1))
    assert found(one) == {("note", "specks", "liver")}
    many = changed(tmp_path / "many", clean, lambda label: label.__setitem__((10, 50, slice(10, 20, 2)), 1))
    assert found(many) == {("warning", "specks", "liver")}


def test_a_second_piece_is_a_note(tmp_path, clean):
    case = changed(tmp_path, clean, lambda label: np.putmask(label, ball((100, 0, -60), (15, 15, 15)), 1))
    assert found(case) == {("note", "in pieces", "liver")}


@pytest.mark.parametrize(("slices", "end"), [(slice(0, 45), "upper"), (slice(50, None), "lower")])
def test_an_organ_cut_by_the_end_of_the_scan_is_a_note(tmp_path, clean, slices, end):
    hu, label = (volume[..., slices] for volume in clean)
    cut = inspect(write_case(tmp_path, hu=hu, label=label), ORGANS, torso.ANATOMY).findings
    liver = [f for f in cut if f.check == "cut" and f.organ == "liver"]
    assert {f.severity for f in cut} == {"note"}
    assert [f.what for f in liver] == [f"liver is cut by the {end} end of the scan"]


def test_an_organ_at_the_side_of_the_field_is_a_warning(tmp_path, clean):
    hu, label = (volume[25:] for volume in clean)  # from the patient's left
    case = write_case(tmp_path, hu=hu, label=label)
    (finding,) = (f for f in inspect(case, ORGANS, torso.ANATOMY).findings if f.check == "at the border")
    assert (finding.severity, finding.organ) == ("warning", "spleen")
    assert finding.what == "spleen touches the left border of the field of view"


def test_organs_that_every_scan_cuts_are_not_reported_as_cut(tmp_path, clean):
    hu, label = (volume[..., :45] for volume in clean)
    facts = vars(torso.ANATOMY) | {"running_through": ORGANS}
    assert not [f for f in found(write_case(tmp_path, hu=hu, label=label), ORGANS, Anatomy(**facts)) if f[1] == "cut"]


def test_a_label_that_stops_in_the_middle_of_an_organ_is_a_warning(tmp_path, clean):
    def stop(label):
        label[..., 67:][label[..., 67:] == 1] = 0  # the liver's middle

    assert found(changed(tmp_path, clean, stop)) == {("warning", "truncated", "liver")}


def test_an_organ_of_the_wrong_brightness_is_an_error(tmp_path, clean):
    hu = clean[0].copy()
    hu[clean[1] == 4] = -800  # the label is in the lung
    assert found(write_case(tmp_path, hu=hu, label=clean[1])) == {("error", "HU", "spleen")}


def test_an_invalid_anatomy_is_refused():
    facts = vars(torso.ANATOMY)
    with pytest.raises(UserError, match=r"anatomy.volume_ml.liver must be \[lowest, highest\], got \[5, 1\]"):
        Anatomy(**facts | {"volume_ml": {"liver": [5, 1]}})
    with pytest.raises(UserError, match=r"anatomy\.centre_mm\.liver must be \[right, front, up\], got \[1, 2\]"):
        Anatomy(**facts | {"centre_mm": {"liver": [1, 2]}})
    with pytest.raises(UserError, match="puts liver on the right and on the left"):
        Anatomy(**facts | {"left": ["liver"]})
