from dataclasses import replace
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from small_ct import CODES, all_48, write_case

from segment.datasets.annotation import known_classes, unknown_organs
from segment.datasets.annotation_files import LabelFile, MaskFiles, SegFile, label_in
from segment.errors import UserError
from segment.io.read import read_ct

ORGANS = ["liver", "pancreas", "spleen"]


@pytest.fixture
def case(tmp_path):
    """A CT and its label file, in which the liver has code 5 and the spleen 2."""
    return write_case(tmp_path, "a")


def masks_of(label, tmp_path, **codes):
    image = nib.load(label)
    paths = {}
    for name, code in codes.items():
        paths[name] = tmp_path / f"{name}.nii.gz"
        nib.save(nib.Nifti1Image((np.asarray(image.dataobj) == code) * np.uint8(255), image.affine), paths[name])
    return MaskFiles(paths)


def test_codes_become_classes_and_an_organ_without_a_code_is_unknown(case):
    image, label = case
    reference = LabelFile(label, CODES)
    classes = reference.read(read_ct(image), image, ORGANS)
    stored = np.asarray(nib.load(label).dataobj)
    assert np.array_equal(classes, np.select([stored == 5, stored == 2], [1, 3]))
    assert known_classes(reference, ORGANS) == [True, True, False, True]


def test_masks_give_the_same_classes_as_one_file(case, tmp_path):
    image, label = case
    reference = masks_of(label, tmp_path, liver=5, spleen=2, other=9)
    scan = read_ct(image)
    assert np.array_equal(reference.read(scan, image, ORGANS), LabelFile(label, CODES).read(scan, image, ORGANS))
    assert known_classes(reference, ORGANS) == [True, True, False, True]


def test_where_masks_overlap_the_later_organ_wins(case, tmp_path):
    image, label = case
    reference = masks_of(label, tmp_path, liver=5, spleen=2, pancreas=5)
    assert set(np.unique(reference.read(read_ct(image), image, ORGANS))) == {0, 2, 3}


def test_a_mask_on_another_grid_is_refused(case, tmp_path):
    image, label = case
    reference = masks_of(label, tmp_path, liver=5)
    _, other = write_case(tmp_path / "other", "a", spacing_mm=(2, 2, 2))
    with pytest.raises(UserError, match="is up to"):
        MaskFiles({**reference.paths, "spleen": other}).read(read_ct(image), image, ORGANS)


def oblique(path):
    """Give a file an oblique and sheared grid."""
    image = nib.load(path)
    affine = np.array([[1.9, 0.3, 0.2, -20], [-0.3, 1.9, 0.5, -30], [0.1, -0.4, 3.0, -40], [0, 0, 0, 1]])
    nib.save(nib.Nifti1Image(np.asarray(image.dataobj), affine), path)


def test_a_label_in_any_of_the_48_orientations_gives_the_same_classes(case, tmp_path):
    image, label = case
    oblique(image)
    oblique(label)
    masks = masks_of(label, tmp_path, liver=5, spleen=2)
    scan = read_ct(image)
    expected = LabelFile(label, CODES).read(scan, image, ORGANS)
    assert len(np.unique(expected)) == 3
    files = {path: nib.load(path) for path in (label, *masks.paths.values())}
    stored = {path: (np.asarray(file.dataobj), file.affine) for path, file in files.items()}
    for axes, flips in all_48():
        turn = np.column_stack([axes, flips])
        for path, (data, affine) in stored.items():
            turned = nib.Nifti1Image(data, affine).as_reoriented(turn)
            nib.save(nib.Nifti1Image(np.asarray(turned.dataobj), turned.affine), path)
        for reference in (LabelFile(label, CODES), masks):
            np.testing.assert_array_equal(reference.read(scan, image, ORGANS), expected)


def test_a_name_without_a_code_is_refused_for_a_file_of_codes():
    declared = {"liver": "Hepar", "spleen": [1, "Milt"], "other": [2, 3]}
    assert label_in(Path("a.dcm"), declared) == SegFile(Path("a.dcm"), {"liver": ["Hepar"], "spleen": ["Milt"]})
    with pytest.raises(
        UserError, match=r"label_codes gives liver 'Hepar', a name in DICOM segmentations, .*liver: \[1,"
    ):
        label_in(Path("a.nii.gz"), declared)
    del declared["liver"]
    assert label_in(Path("a.nii.gz"), declared) == LabelFile(Path("a.nii.gz"), {"spleen": [1], "other": [2, 3]})


def test_organs_that_no_case_annotates_are_listed():
    liver, spleen = LabelFile("a", {"liver": 1}), LabelFile("b", {"spleen": [1, 2], "bone": 3})
    assert unknown_organs({"x/1": liver, "y/1": spleen}, ORGANS) == ["pancreas"]
    assert unknown_organs({"x/1": liver, "y/1": spleen}, ["spleen", "liver"]) == []


def test_a_source_that_annotates_none_of_the_organs_is_refused():
    liver, bone = LabelFile("a", {"liver": 1}), LabelFile("b", {"bone": 3, "skin": 4})
    with pytest.raises(UserError, match=r"^y annotates none of liver, pancreas, spleen, but bone, skin; correct its"):
        unknown_organs({"x/1": liver, "y/1": bone}, ORGANS)


def test_the_cache_key_differs_if_the_classes_may_differ():
    one = LabelFile("a", {"liver": 1, "spleen": (2, 3)})
    assert one.cache_key == {"liver": 1, "spleen": [2, 3]}
    assert replace(one, codes={"liver": 2, "spleen": [2, 3]}).cache_key != one.cache_key
    assert MaskFiles({"b": "y", "a": "x"}).cache_key == ["a", "b"]
    assert MaskFiles({"b": "y", "a": "x"}).files == ["x", "y"]
