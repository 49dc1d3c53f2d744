import nibabel as nib
import numpy as np
import pytest
import torso
from torso import AFFINE, found, write_case

from segment.data.inspect.truth import read_truth
from segment.data.readers.read import read_ct


@pytest.fixture(scope="module")
def clean():
    return torso.torso()


def test_another_order_of_voxels_is_a_note_and_gives_the_same_classes(tmp_path, clean):
    turn = np.array([[0, -1], [2, 1], [1, -1]])
    label = nib.orientations.apply_orientation(clean[1], turn)
    affine = AFFINE @ nib.orientations.inv_ornt_aff(turn, torso.SHAPE)
    case = write_case(tmp_path, hu=clean[0], label=label, label_affine=affine)
    assert found(case) == {("note", "label order", "")}
    classes, (note,) = read_truth(case, read_ct(case.image), torso.ORGANS)
    np.testing.assert_array_equal(classes, clean[1])
    assert note.what == "the label is stored in the voxel order LIA, its CT in RAS"


def test_a_rounded_header_is_a_note_with_the_distance(tmp_path, clean):
    moved = AFFINE.copy()
    moved[0, 3] += 0.02
    case = write_case(tmp_path, hu=clean[0], label=clean[1], label_affine=moved)
    assert found(case) == {("note", "label grid", "")}
    (note,) = read_truth(case, read_ct(case.image), torso.ORGANS)[1]
    assert note.what.startswith("the label's header places it up to 0.02 mm (0.0")
