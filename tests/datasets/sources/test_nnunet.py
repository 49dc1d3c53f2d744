import json

import numpy as np
import pytest
from small_ct import save, touch

from segment.datasets.sources.nnunet import NNUNetRaw
from segment.errors import UserError
from segment.io.read import read_ct

V2 = {
    "channel_names": {"0": "CT"},
    "labels": {"background": 0, "liver": 1, "kidney_right": 2},
    "numTraining": 2,
    "file_ending": ".nii.gz",
}
V1 = {
    "modality": {"0": "CT"},
    "labels": {"0": "background", "1": "liver", "2": "kidney_right"},
    "training": [{"image": "./imagesTr/a.nii.gz", "label": "./labelsTr/a.nii.gz"}],
}
FILES = [f"{kind}/{name}" for name in "ab" for kind, name in (("imagesTr", f"{name}_0000"), ("labelsTr", name))]


def dataset(root, description=V2, files=FILES, ending=".nii.gz"):
    touch(root, *(file + ending for file in files))
    (root / "dataset.json").write_text(description if isinstance(description, str) else json.dumps(description))
    return root


@pytest.mark.parametrize("description", [V1, V2])
@pytest.mark.parametrize("around", ["", "Dataset001_Abdomen"])
def test_both_versions_are_listed(tmp_path, description, around):
    root = dataset(tmp_path / around, description)
    cases = NNUNetRaw(tmp_path, {"kidney_right": "right_kidney"}).cases("set")
    assert [(c.id, c.patient, c.part) for c in cases] == [("set/a", "set/a", ""), ("set/b", "set/b", "")]
    assert cases[0].image == root / "imagesTr" / "a_0000.nii.gz"
    assert cases[0].label.path == root / "labelsTr" / "a.nii.gz"
    assert cases[0].label.codes == {"liver": [1], "right_kidney": [2]}


def test_labelled_test_cases_belong_to_the_part_test(tmp_path):
    files = [*FILES, "imagesTs/c_0000", "labelsTs/c"]
    cases = NNUNetRaw(dataset(tmp_path, files=files)).cases("set")
    assert [(c.id, c.part) for c in cases] == [("set/a", ""), ("set/b", ""), ("set/c", "test")]


def test_test_cases_without_labels_are_ignored(tmp_path):
    cases = NNUNetRaw(dataset(tmp_path, files=[*FILES, "imagesTs/c_0000"])).cases("set")
    assert [c.id for c in cases] == ["set/a", "set/b"]


def test_other_endings(tmp_path):
    cases = NNUNetRaw(dataset(tmp_path, V2 | {"file_ending": ".nrrd"}, ending=".nrrd")).cases("set")
    assert cases[0].image.name == "a_0000.nrrd"


def test_patients_and_sides(tmp_path):
    (case, _) = NNUNetRaw(
        dataset(tmp_path, V2 | {"labels": {"kidney": 1}}), None, "(.)", {"kidney": ["right_kidney", "left_kidney"]}
    ).cases("set")
    assert set(case.label.structures) == {"right_kidney", "left_kidney"}


def test_regions_are_read_when_one_is_chosen(tmp_path):
    save(tmp_path / "imagesTr" / "a_0000.nii.gz", np.full((4, 1, 1), -1000, np.int16))
    save(tmp_path / "labelsTr" / "a.nii.gz", np.array([0, 1, 2, 3], np.uint8).reshape(4, 1, 1))
    labels = {"background": 0, "kidney": [1, 2, 3], "masses": [2, 3], "tumor": 2}
    dataset(tmp_path, V2 | {"labels": labels, "regions_class_order": [1, 3, 2]}, files=[])
    (case,) = NNUNetRaw(tmp_path, {"masses": None, "tumor": None}).cases("set")
    assert case.label.read(read_ct(case.image), case.image, ["kidney"]).ravel().tolist() == [0, 1, 1, 1]
    (case,) = NNUNetRaw(tmp_path, {"kidney": None, "tumor": None}).cases("set")
    assert case.label.read(read_ct(case.image), case.image, ["masses"]).ravel().tolist() == [0, 0, 1, 1]


@pytest.mark.parametrize(
    ("description", "message"),
    [
        (V2 | {"channel_names": {"0": "CT", "1": "PET"}}, "has 2 channels, CT, PET; only data sets of CT alone"),
        (V2 | {"channel_names": {"0": "T1"}}, "holds 'T1' images; only CT can be used"),
        (V1 | {"modality": {"0": "MRI"}}, "holds 'MRI' images"),
        ({"labels": V2["labels"]}, "names no channels"),
        (V2 | {"labels": {}}, "names no labels"),
        (V2 | {"labels": ["liver"]}, "names no labels"),
        (V2 | {"labels": {"liver": "one"}}, "gives the label 'liver' the code 'one'"),
        (V2 | {"labels": {"liver": []}}, r"gives the label 'liver' the code \[\]"),
        (V2 | {"labels": {"liver": 1, "ignore": 2}}, "has the label 'ignore' for voxels that nobody annotated"),
        (V2 | {"labels": {"liver": [1, 2], "tumor": 2}}, "gives the code 2 to the regions liver and tumor"),
        (V2 | {"file_ending": ".nrrd"}, r"a_0000\.nii\.gz does not end in '\.nrrd'"),
        ("[]", "holds no JSON object"),
        ('{"labels": ', "is not JSON"),
    ],
)
def test_descriptions_that_cannot_be_used_are_refused(tmp_path, description, message):
    with pytest.raises(UserError, match=message):
        NNUNetRaw(dataset(tmp_path, description)).cases("set")


@pytest.mark.parametrize(
    ("files", "message"),
    [
        ([*FILES, "imagesTr/c_0000"], r"1 image\(s\) without label"),
        ([*FILES, "labelsTr/c"], r"1 label\(s\) without image"),
        ([*FILES, "imagesTr/a_0001"], r"a_0001\.nii\.gz does not end in '_0000'"),
        ([*FILES, "imagesTs/a_0000", "labelsTs/a"], "has a in both imagesTr and imagesTs"),
    ],
)
def test_files_that_do_not_match_are_named(tmp_path, files, message):
    with pytest.raises(UserError, match=message):
        NNUNetRaw(dataset(tmp_path, files=files)).cases("set")


def test_no_description(tmp_path):
    with pytest.raises(UserError, match=r"cannot read .*dataset\.json: No such file"):
        NNUNetRaw(tmp_path).cases("set")
    with pytest.raises(UserError, match=r"no such folder: .*/nowhere; set the data set's root"):
        NNUNetRaw(tmp_path / "nowhere").cases("set")


def test_an_unknown_name(tmp_path):
    with pytest.raises(UserError, match="names declares 'lever'"):
        NNUNetRaw(dataset(tmp_path), {"lever": "liver"}).cases("set")


def test_the_error_about_an_unknown_code_names_the_description(tmp_path):
    save(tmp_path / "imagesTr" / "a_0000.nii.gz", np.full((2, 1, 1), -1000, np.int16))
    save(tmp_path / "labelsTr" / "a.nii.gz", np.array([0, 9], np.uint8).reshape(2, 1, 1))
    dataset(tmp_path, files=[])
    (case,) = NNUNetRaw(tmp_path).cases("set")
    with pytest.raises(UserError, match=r"holds codes that .*dataset\.json does not name: 9; name them there, or corr"):
        case.label.read(read_ct(case.image), case.image, ["liver"])
