import nibabel as nib
import numpy as np
import pytest
import torso
from torso import AFFINE, found, write_case

from segment.doctor.reference import read_reference
from segment.io.read import read_ct


@pytest.fixture(scope="module")
def clean():
    return torso.torso()


def centred_at(right_mm):
    """The torso's affine, with the middle of the field of view at this distance from x = 0."""
    affine = AFFINE.copy()
    affine[0, 3] = right_mm - AFFINE[0, 0] * (torso.SHAPE[0] - 1) / 2
    return affine


def write_reordered_case(folder, clean, turn, ct_affine=AFFINE):
    """Write the torso with its label in another order of voxels and the matching header."""
    label = nib.orientations.apply_orientation(clean[1], turn)
    affine = ct_affine @ nib.orientations.inv_ornt_aff(np.array(turn), torso.SHAPE)
    return write_case(folder, hu=clean[0], label=label, affine=ct_affine, label_affine=affine)


def test_another_order_of_voxels_is_a_note_and_gives_the_same_classes(tmp_path, clean):
    case = write_reordered_case(tmp_path, clean, [[0, -1], [2, 1], [1, -1]], centred_at(5))
    assert found(case) == {("note", "label order", "")}
    classes, (note,) = read_reference(case, read_ct(case.image), torso.ORGANS)
    np.testing.assert_array_equal(classes, clean[1])
    assert note.what == "the label is stored in the voxel order LIA, its CT in RAS"


def test_left_and_right_may_be_exchanged_in_a_centred_header(tmp_path, clean):
    """The label has the CT's order, but its header has the wrong sign."""
    centred = centred_at(0)
    wrong = np.diag([-1, 1, 1, 1]) @ centred
    case = write_case(tmp_path, hu=clean[0], label=clean[1], affine=centred, label_affine=wrong)
    classes, (warning,) = read_reference(case, read_ct(case.image), torso.ORGANS)
    np.testing.assert_array_equal(classes, clean[1][::-1])  # as the header states
    assert (warning.severity, warning.check) == ("warning", "label order")
    assert "LAS, its CT in RAS; the field of view is centred, so a label with a mirrored header w" in warning.what
    assert "if its liver is then on the patient's left" in warning.remedy


@pytest.mark.parametrize(
    ("turn", "middle_mm", "severity"),
    [
        ([[0, -1], [1, 1], [2, 1]], 0, "warning"),
        ([[0, -1], [1, -1], [2, 1]], 0.1, "warning"),  # mirrored, 0.2 of 2.9 mm away
        ([[1, -1], [0, 1], [2, 1]], 0, "warning"),  # the label's second axis is the CT's first
        ([[0, -1], [1, 1], [2, 1]], 0.2, "note"),
        ([[0, -1], [1, 1], [2, 1]], -60, "note"),
        ([[0, 1], [1, -1], [2, -1]], 0, "note"),
    ],
)
def test_only_a_reversed_and_centred_label_may_have_the_wrong_sign(tmp_path, clean, turn, middle_mm, severity):
    case = write_reordered_case(tmp_path, clean, turn, centred_at(middle_mm))
    classes, (finding,) = read_reference(case, read_ct(case.image), torso.ORGANS)
    assert (finding.severity, finding.check) == (severity, "label order")
    np.testing.assert_array_equal(classes, clean[1])


def test_a_rounded_header_is_a_note_with_the_distance(tmp_path, clean):
    moved = AFFINE.copy()
    moved[0, 3] += 0.02
    case = write_case(tmp_path, hu=clean[0], label=clean[1], label_affine=moved)
    assert found(case) == {("note", "label grid", "")}
    (note,) = read_reference(case, read_ct(case.image), torso.ORGANS)[1]
    assert note.what.startswith("the label's header places it up to 0.02 mm (0.0")
