import importlib.util
import json
from dataclasses import replace

import nibabel as nib
import numpy as np
import pytest
import SimpleITK
from small_ct import CODES, save, write_case

from segment.data import export as module
from segment.data.export import export_nnunet, safe_names
from segment.data.splits.given_split import NNUNetSplit
from segment.data.splits.split import Split
from segment.datasets.annotation_files import LabelFile
from segment.datasets.cases import Case
from segment.datasets.sources.folder import Folder
from segment.datasets.sources.nnunet import NNUNetRaw
from segment.errors import UserError
from segment.io.read import read_ct

ORGANS = ["spleen", "liver"]
NAMES = ["set_a", "set_b", "set_c", "set_d"]


@pytest.fixture
def split(tmp_path):
    for number, name in enumerate("abcd"):
        write_case(tmp_path / "in", name, seed=number)
    a, b, c, d = Folder(tmp_path / "in", CODES).cases("set")
    return Split((a, b), (c,), (d,))


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "out" / "Dataset123_Abdomen"


def everything(folder):
    return {str(p.relative_to(folder)): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


def by_name(cases):
    return {case.id.partition("/")[2]: case for case in cases}


def test_an_export_can_be_read_back(split, folder):
    export_nnunet(split, ORGANS, folder)
    back = NNUNetRaw(folder).cases("back")
    again = NNUNetSplit(folder / "splits_final.json")(back)
    assert again.ids() == {"train": ["back/set_a", "back/set_b"], "val": ["back/set_c"], "test": ["back/set_d"]}
    for before, after in zip((*split.train, *split.val, *split.test), back, strict=True):
        one, two = read_ct(before.image), read_ct(after.image)
        assert np.array_equal(one.data, two.data)
        assert np.array_equal(one.affine, two.affine)
        classes = before.label.read(one, before.image, ORGANS)
        assert {1, 2} <= set(np.unique(classes))
        assert np.array_equal(classes, after.label.read(two, after.image, ORGANS))
        assert np.array_equal(classes, np.asarray(nib.load(after.label.path).dataobj))


def test_the_description_is_that_of_nnunet_version_2(split, folder):
    export_nnunet(split, ORGANS, folder)
    description = json.loads((folder / "dataset.json").read_text())
    assert description["channel_names"] == {"0": "CT"}
    assert description["labels"] == {"background": 0, "spleen": 1, "liver": 2}
    assert (description["numTraining"], description["file_ending"]) == (3, ".nii.gz")
    assert {p.name for p in (folder / "imagesTr").iterdir()} == {f"{name}_0000.nii.gz" for name in NAMES[:3]}
    assert {p.name for p in (folder / "labelsTr").iterdir()} == {f"{name}.nii.gz" for name in NAMES[:3]}
    assert [p.name for p in (folder / "imagesTs").iterdir()] == ["set_d_0000.nii.gz"]
    assert nib.load(folder / "labelsTs" / "set_d.nii.gz").get_data_dtype() == np.uint8


def test_compressed_nifti_is_hard_linked(split, folder):
    export_nnunet(split, ORGANS, folder)
    assert split.train[0].image.samefile(folder / "imagesTr" / "set_a_0000.nii.gz")


def test_compressed_nifti_is_copied_if_links_are_impossible(split, folder, monkeypatch):
    def no_link(source, target):
        raise OSError(18, "Invalid cross-device link")

    monkeypatch.setattr(module.os, "link", no_link)
    export_nnunet(split, ORGANS, folder)
    copy = folder / "imagesTr" / "set_a_0000.nii.gz"
    assert copy.read_bytes() == split.train[0].image.read_bytes()
    assert not split.train[0].image.samefile(copy)


@pytest.mark.parametrize("suffix", [".nrrd", ".mha", ".nii", "4d", "unzipped", "scaled", "float"])
def test_other_files_are_converted_without_loss(split, folder, tmp_path, suffix):
    image = nib.load(split.train[0].image)
    hu, affine = np.asarray(image.dataobj), image.affine
    affine = affine[[0, 1, 2, 3]] @ np.array([[0, -1, 0, 9], [1, 0, 0, 4], [0, 0, 1, 2], [0, 0, 0, 1.0]])  # turned
    path = save(tmp_path / "x.nii", hu, affine)
    whole = suffix != "float"
    if suffix in (".nrrd", ".mha"):
        path = tmp_path / f"x{suffix}"
        SimpleITK.WriteImage(SimpleITK.ReadImage(str(tmp_path / "x.nii")), str(path))
    elif suffix == "4d":
        path = save(tmp_path / "x.nii.gz", hu[..., None], affine)
    elif suffix == "unzipped":
        path = tmp_path / "x.nii.gz"
        path.write_bytes((tmp_path / "x.nii").read_bytes())
    elif suffix == "scaled":
        path = tmp_path / "x.nii"
        scaled = nib.Nifti1Image((hu + 1024).astype(np.uint16), affine)
        scaled.header.set_slope_inter(1, -1024)
        nib.save(scaled, path)
    elif suffix == "float":
        path = save(tmp_path / "x.nii", hu.astype(np.float32) + 0.5, affine)
    label = save(tmp_path / "y.nii.gz", np.asarray(nib.load(split.train[0].label.path).dataobj), affine)
    case = Case("set/a", "set/a", path, LabelFile(label, CODES))
    export_nnunet(replace(split, train=(case,)), ORGANS, folder)
    written = nib.load(folder / "imagesTr" / "set_a_0000.nii.gz")
    assert written.shape == hu.shape
    assert written.get_data_dtype() == (np.int16 if whole else np.float32)
    assert np.array_equal(np.asarray(written.dataobj), hu if whole else hu.astype(np.float32) + 0.5)
    assert np.allclose(written.affine, affine, atol=1e-5)
    assert written.header["sform_code"] > 0
    assert nib.load(folder / "labelsTr" / "set_a.nii.gz").shape == hu.shape


def test_a_killed_export_can_be_resumed(split, folder, monkeypatch):
    export_nnunet(split, ORGANS, folder)
    complete = everything(folder)
    for name in ("dataset.json", "splits_final.json", "labelsTr/set_b.nii.gz", "imagesTs/set_d_0000.nii.gz"):
        (folder / name).unlink()
    (folder / "imagesTr" / ".0123abcd.set_b_0000.nii.gz").write_bytes(b"half")
    read = []
    monkeypatch.setattr(Case, "read", lambda case: read.append(case.image.name) or read_ct(case.image))
    export_nnunet(split, ORGANS, folder)
    assert everything(folder) == complete
    assert read == ["b.nii.gz", "d.nii.gz"]


@pytest.mark.parametrize("change", ["organs", "split", "codes", "label", "image"])
def test_another_export_is_refused(split, folder, tmp_path, change):
    export_nnunet(split, ORGANS, folder)
    before = everything(folder)
    organs = ORGANS[::-1] if change == "organs" else ORGANS
    if change == "split":
        split = replace(split, train=split.val, val=split.train)
    if change == "codes":
        case = split.train[0]
        split = replace(
            split, train=(replace(case, label=LabelFile(case.label.path, CODES | {"x": 11})), split.train[1])
        )
    if change in ("label", "image"):
        path = split.train[0].label.path if change == "label" else split.train[0].image
        content = bytearray(path.read_bytes())
        content[len(content) // 2] ^= 1  # the size is the same as before
        path.unlink()  # otherwise the hard link in the export would change as well
        path.write_bytes(content)
    with pytest.raises(UserError, match="holds an export of other cases, organs, labels or another split, or of files"):
        export_nnunet(split, organs, folder)
    assert everything(folder) == before


def test_a_folder_with_other_files_is_refused(split, folder):
    folder.mkdir(parents=True)
    (folder / "dataset.json").touch()
    with pytest.raises(UserError, match="is not empty and not an export"):
        export_nnunet(split, ORGANS, folder)
    assert [p.name for p in folder.iterdir()] == ["dataset.json"]


@pytest.mark.parametrize("name", ["abdomen", "Dataset12_Abdomen", "Dataset123_", "Dataset123_a b"])
def test_a_folder_name_that_nnunet_does_not_accept_is_refused(split, tmp_path, name):
    with pytest.raises(UserError, match="name it like Dataset123_Abdomen"):
        export_nnunet(split, ORGANS, tmp_path / name)


def test_an_organ_that_is_unknown_in_a_case_is_refused(split, folder):
    case = split.val[0]
    split = replace(split, val=(replace(case, label=LabelFile(case.label.path, {"liver": 5, "other": [2, 7, 9]})),))
    with pytest.raises(UserError, match="spleen is not annotated in 1 of 4 cases, first set/c, and nnU-Net would read"):
        export_nnunet(split, ORGANS, folder)
    assert not folder.exists()


def test_a_split_with_a_shared_case_is_refused(split, folder):
    shared = Split(split.train[:1], split.train[:1], split.train[:1], shared=True)
    with pytest.raises(UserError, match="trains and tests on one case cannot be exported"):
        export_nnunet(shared, ORGANS, folder)


def test_all_failing_cases_are_named_after_the_others_are_exported(split, folder):
    for case in (split.train[0], split.test[0]):
        case.label.path.write_bytes(b"damaged")
    with pytest.raises(
        UserError, match=r"(?s)2 cases cannot be exported:\n  set/a: cannot read .*\n  set/d: cannot read"
    ):
        export_nnunet(split, ORGANS, folder)
    assert (folder / "labelsTr" / "set_c.nii.gz").exists()
    assert not (folder / "dataset.json").exists()


@pytest.mark.parametrize("again", [False, True])
def test_the_same_ct_in_two_parts_is_refused(split, folder, again):
    nib.save(nib.load(split.train[1].image).as_reoriented([[0, -1], [1, 1], [2, 1]]), split.test[0].image)
    nib.save(nib.load(split.train[1].label.path).as_reoriented([[0, -1], [1, 1], [2, 1]]), split.test[0].label.path)
    for _ in range(1 + again):
        with pytest.raises(UserError, match=r"set/b \(train\) and set/d \(test\) hold the same voxels; remove one"):
            export_nnunet(split, ORGANS, folder)
    assert not (folder / "dataset.json").exists()


def test_the_same_ct_twice_in_one_part_is_accepted(split, folder):
    split.train[1].image.write_bytes(split.train[0].image.read_bytes())
    export_nnunet(split, ORGANS, folder)
    assert (folder / "dataset.json").exists()


def test_a_missing_file_is_named(split, folder):
    split.train[0].image.unlink()
    with pytest.raises(UserError, match=r"cannot read .*a\.nii\.gz: No such file"):
        export_nnunet(split, ORGANS, folder)


def test_file_names():
    names = safe_names(["set/a b", "set/a_b", "set/ä", "set/A", "set/a", "other/x.1"])
    assert names["other/x.1"] == "other_x.1"
    assert names["set/ä"] == "set__"
    assert len({name.lower() for name in names.values()}) == len(names)
    assert all(name.startswith("set_a_b_") for name in (names["set/a b"], names["set/a_b"]))
    # A name depends on the ids alone, not on their order.
    assert names == safe_names(list(names)[::-1])


@pytest.mark.skipif(importlib.util.find_spec("nnunetv2") is None, reason="nnU-Net is not installed")
def test_nnunet_accepts_the_export(split, folder):
    from nnunetv2.experiment_planning.verify_dataset_integrity import verify_dataset_integrity

    export_nnunet(split, ORGANS, folder)
    verify_dataset_integrity(str(folder), num_processes=1)
