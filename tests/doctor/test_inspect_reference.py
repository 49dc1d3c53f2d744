from dataclasses import dataclass, replace
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
import torso
from scipy import ndimage
from torso import AFFINE, CODES, ORGANS, found, write_case

from segment.datasets.annotation_files import LabelFile, MaskFiles
from segment.datasets.cases import Case
from segment.datasets.split_sides import SplitSides
from segment.doctor.reference import read_reference
from segment.errors import UserError
from segment.io.read import read_ct


@pytest.fixture(scope="module")
def clean():
    return torso.torso()


def test_classes_follow_the_organs_and_not_the_codes(tmp_path, clean):
    case = write_case(tmp_path, hu=clean[0], label=clean[1])
    classes, findings = read_reference(case, read_ct(case.image), ["spleen", "liver"])
    assert findings == []
    assert np.array_equal(classes, np.array([0, 2, 0, 0, 1])[clean[1]])


def test_masks_are_read(tmp_path, clean):
    case = write_case(tmp_path, hu=clean[0], label=clean[1])
    paths = {name: tmp_path / f"{name}.nii" for name in ORGANS}
    for name, path in paths.items():
        torso.save(path, (clean[1] == CODES[name]).astype(np.uint8))
    classes, findings = read_reference(
        Case(case.id, case.id, case.image, MaskFiles(paths)), read_ct(case.image), ORGANS
    )
    assert findings == []
    assert np.array_equal(classes, clean[1])


def test_undeclared_codes_are_an_error(tmp_path, clean):
    label = clean[1].copy()
    label[label == 4] = 40
    assert found(write_case(tmp_path, hu=clean[0], label=label)) == {("error", "label codes", "")}


def test_fractions_are_an_interpolated_label(tmp_path, clean):
    label = ndimage.zoom(clean[1].astype(np.float32), 1.0)
    label = ndimage.shift(label, 0.5, order=1)
    assert found(write_case(tmp_path, hu=clean[0], label=label)) == {("error", "interpolated label", "")}


def test_rounded_interpolation_is_recognised_by_the_layers_that_it_leaves(tmp_path, clean):
    label = np.rint(ndimage.shift(clean[1].astype(np.float32), 0.5, order=1)).astype(np.uint8)
    assert set(np.unique(label)) == {0, 1, 2, 3, 4}  # interpolation added no new code
    assert ("warning", "interpolated label", "") in found(write_case(tmp_path, hu=clean[0], label=label))


def test_nearest_neighbours_and_thin_organs_are_not_interpolation(tmp_path, clean):
    label = ndimage.shift(clean[1], 0.5, order=0)
    label[60:64, 50, 20:80] = 2  # a sheet of one voxel
    assert ("warning", "interpolated label", "") not in found(write_case(tmp_path, hu=clean[0], label=label))


def test_a_few_voxels_are_not_enough_to_recognise_interpolation(tmp_path, clean):
    label = np.zeros_like(clean[1])
    label[50:53, 50:53, 50:53] = 1
    label[51, 51, 51] = 2
    assert ("warning", "interpolated label", "") not in found(write_case(tmp_path, hu=clean[0], label=label))


def test_a_label_on_another_grid_is_an_error(tmp_path, clean):
    moved = AFFINE + np.eye(4, k=3) * 4
    case = write_case(tmp_path / "moved", hu=clean[0], label=clean[1], label_affine=moved)
    assert found(case) == {("error", "label grid", "")}
    case = write_case(tmp_path / "short", hu=clean[0], label=clean[1][1:])
    assert found(case) == {("error", "label grid", "")}


def test_a_damaged_label_is_unreadable(tmp_path, clean):
    case = write_case(tmp_path, hu=clean[0], label=clean[1])
    path = case.label.files[0]
    path.write_bytes(path.read_bytes()[:5000])
    assert found(case) == {("error", "unreadable", "")}


def test_a_finding_about_codes_names_the_file_and_separates_the_remedy(tmp_path, clean):
    case = write_case(tmp_path, hu=clean[0], label=clean[1] * 9)
    (finding,) = read_reference(case, read_ct(case.image), ORGANS)[1]
    assert finding.what == f"{case.label.path} holds codes that label_codes does not name: 9, 18, 27, 36"
    assert finding.remedy == "name the codes in label_codes, or correct the label file"


def test_organs_without_annotation_are_background(tmp_path, clean):
    case = write_case(tmp_path, hu=clean[0], label=(clean[1] == 1).astype(np.uint8))
    known = Case(case.id, case.id, case.image, LabelFile(case.label.path, {"liver": 1}))
    assert found(known) == set()  # neither absent nor on a wrong side
    assert nib.load(case.image).shape == read_reference(known, read_ct(case.image), ORGANS)[0].shape


@dataclass(frozen=True)
class UnreadableAnnotation:
    """An annotation that is neither a label file nor masks, and cannot be read."""

    path: Path
    structures = ("liver",)
    cache_key = ()

    @property
    def files(self):
        return (self.path,)

    def read(self, scan, image, organs):
        msg = f"a frame of {self.path} is; between the slices of {image}; export it again"
        raise UserError(msg)


@pytest.mark.parametrize("wrapped", [False, True])
def test_errors_of_other_annotations_are_passed_on(tmp_path, clean, wrapped):
    case = write_case(tmp_path, hu=clean[0], label=clean[1])
    label = UnreadableAnnotation(tmp_path / "organs.dcm")
    if wrapped:
        label = SplitSides(label, "kidney", "right_kidney", "left_kidney")
    classes, (finding,) = read_reference(replace(case, label=label), read_ct(case.image), ORGANS)
    assert classes is None
    assert (finding.severity, finding.check) == ("error", "label")
    assert finding.what == f"a frame of {tmp_path / 'organs.dcm'} is; between the slices of {case.image}"
    assert finding.remedy == "export it again"


def write_horseshoe_kidney(tmp_path, clean, codes=(0, 1, 2, 2, 0)):
    """Both kidneys under the code 2, with a bridge between them."""
    label = np.array(codes, np.uint8)[clean[1]]
    kidneys = np.argwhere(label == 2)
    middle = kidneys.mean(axis=0).round().astype(int)
    label[kidneys[:, 0].min() + 5 : kidneys[:, 0].max() - 5, middle[1], middle[2]] = 2
    return write_case(tmp_path, hu=clean[0], label=label)


@pytest.mark.parametrize("kind", ["codes", "masks"])
def test_a_horseshoe_kidney_is_not_reported_as_wrong_codes(tmp_path, clean, kind):
    case = write_horseshoe_kidney(tmp_path, clean)
    label = LabelFile(case.label.path, {"liver": 1, "kidney": 2})
    if kind == "masks":
        mask = (np.asarray(nib.load(case.label.path).dataobj) == 2).astype(np.uint8)
        label = MaskFiles({"kidney": torso.save(tmp_path / "kidney.nii", mask)})
    case = replace(case, label=SplitSides(label, "kidney", "right_kidney", "left_kidney"))
    (finding,) = read_reference(case, read_ct(case.image), ORGANS)[1]
    assert finding.check == "label"
    assert "as in a horseshoe kidney" in finding.what
    assert finding.remedy.startswith("annotate left and right separately")


def test_undeclared_codes_are_named_under_two_splits_of_sides(tmp_path, clean):
    case = write_case(tmp_path, hu=clean[0], label=clean[1])
    label = SplitSides(LabelFile(case.label.path, {"kidney": 2, "adrenal": 1}), "kidney", "right_kidney", "left_kidney")
    label = SplitSides(label, "adrenal", "right_adrenal", "left_adrenal")
    (finding,) = read_reference(replace(case, label=label), read_ct(case.image), ORGANS)[1]
    assert (finding.check, finding.what[-4:]) == ("label codes", "3, 4")


@pytest.mark.parametrize("wrapped", [False, True])
@pytest.mark.parametrize("fault", ["label grid", "unreadable"])
def test_the_faulty_one_of_several_masks_is_named(tmp_path, clean, wrapped, fault):
    case = write_case(tmp_path, hu=clean[0], label=clean[1])
    paths = {name: tmp_path / f"{name}.nii" for name in ("liver", "kidney")}
    for path in paths.values():
        torso.save(path, (clean[1] == 1).astype(np.uint8))
    torso.save(paths["kidney"], (clean[1][1:] == 2).astype(np.uint8))
    if fault == "unreadable":
        paths["kidney"].write_bytes(b"no image")
    label = MaskFiles(paths if wrapped else {"liver": paths["liver"], "spleen": paths["kidney"]})
    if wrapped:
        label = SplitSides(label, "kidney", "right_kidney", "left_kidney")
    (finding,) = read_reference(replace(case, label=label), read_ct(case.image), ORGANS)[1]
    assert finding.check == fault
    assert str(paths["kidney"]) in finding.what
