from pathlib import Path

import numpy as np
import pytest
import SimpleITK
from hydra.utils import instantiate
from omegaconf import OmegaConf
from small_ct import CODES, touch, write_case

from segment.datasets.sources.folder import Folder
from segment.errors import UserError
from segment.io.label_codes import LabelMap
from segment.io.read import read_ct, read_label

CONF = Path(__file__).parents[3] / "conf" / "data"


def found(root, **options):
    return [(c.id, c.image.name, c.label.path.name) for c in Folder(root, CODES, **options).cases("set")]


def test_files_of_any_format_are_paired_by_name(tmp_path):
    touch(tmp_path, *(f"images/{name}" for name in ("d.nii", "a.nii.gz", "c.nrrd", "b.mha", ".b.mha", "notes.txt")))
    touch(tmp_path, *(f"labels/{name}" for name in ("a.mha", "b.nii.gz", "c.nrrd", "d.nii.gz", "._a.mha")))
    assert found(tmp_path) == [
        ("set/a", "a.nii.gz", "a.mha"),
        ("set/b", "b.mha", "b.nii.gz"),
        ("set/c", "c.nrrd", "c.nrrd"),
        ("set/d", "d.nii", "d.nii.gz"),
    ]


def test_options_for_other_names_of_folders_and_files(tmp_path):
    touch(tmp_path, "imagesTr/x.1_0000.nii.gz", "labelsTr/x.1.nii.gz")
    assert found(tmp_path, images="imagesTr", labels="labelsTr", image_suffix="_0000") == [
        ("set/x.1", "x.1_0000.nii.gz", "x.1.nii.gz")
    ]


def test_images_may_lie_in_the_root_itself(tmp_path):
    touch(tmp_path, "a.nii.gz", "labels/a.nii.gz")
    (case,) = Folder(tmp_path, CODES, images=".").cases("set")
    assert case.image == tmp_path / "a.nii.gz"


def test_labels_may_lie_elsewhere_but_not_the_images(tmp_path):
    """For example, on another disk."""
    touch(tmp_path, "set/images/a.nii.gz", "mine/a.nii.gz", "mine/b.mgz")
    source = Folder(tmp_path / "set", CODES, labels=str(tmp_path / "mine"))
    (case,) = source.cases("set")
    assert case.label.path == tmp_path / "mine" / "a.nii.gz"
    assert [one.name for one in source.left_out([case])] == ["b.mgz"]
    with pytest.raises(UserError, match=r"images=/cts must be a path inside the root; give its parent folder as root"):
        Folder(tmp_path, CODES, images="/cts")


def test_every_format_is_read(tmp_path):
    image, label = write_case(tmp_path, "a")
    for suffix in (".nii", ".nrrd", ".mha"):
        for path in (image, label):
            SimpleITK.WriteImage(SimpleITK.ReadImage(str(path)), str(path).replace("a.nii.gz", f"b{suffix}"))
        (a, b) = Folder(tmp_path, CODES).cases("set")
        assert np.array_equal(read_ct(a.image).data, read_ct(b.image).data)
        assert np.array_equal(read_label(a.label.path).data, read_label(b.label.path).data)
        assert np.allclose(read_ct(a.image).affine, read_ct(b.image).affine)
        for path in (b.image, b.label.path):
            path.unlink()


def flare22():
    cfg = OmegaConf.merge({"cache_dir": "cache"}, OmegaConf.load(CONF / "flare22.yaml"))
    return instantiate(cfg.sources.flare22, _convert_="all").cases("flare22")


@pytest.mark.parametrize("around", ["", "FLARE22Train", "something else"])
def test_flare22_as_it_unpacks(tmp_path, monkeypatch, around):
    root = tmp_path / "FLARE22Train"
    for number in (1, 2, 50):
        touch(root / around, f"images/FLARE22_Tr_{number:04}_0000.nii.gz", f"labels/FLARE22_Tr_{number:04}.nii.gz")
    monkeypatch.setenv("FLARE22_ROOT", str(root))
    cases = flare22()
    assert [c.id for c in cases] == [f"flare22/FLARE22_Tr_{n}" for n in ("0001", "0002", "0050")]
    assert [c.patient for c in cases] == [c.id for c in cases]
    # Codes of the challenge (nnU-Net's dataset.json for FLARE24): 1 liver, 2 right kidney, 3 spleen, 13 left kidney.
    label = np.arange(14).reshape(1, 1, -1)
    organs = ["liver", "right_kidney", "left_kidney", "spleen"]
    classes = LabelMap(cases[0].label.codes, organs).to_classes(label, source="x")
    assert classes.ravel().tolist() == [0, 1, 2, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0, 3]


def test_flare22_without_a_root(monkeypatch):
    monkeypatch.delenv("FLARE22_ROOT", raising=False)
    with pytest.raises(UserError, match="no such folder: cache/sets/flare22; set the data set's root"):
        flare22()


def test_files_that_macos_adds_are_ignored(tmp_path):
    touch(tmp_path, "in/images/a.nii", "in/labels/a.nii", "__MACOSX/in/images/._a.nii", ".hidden/x")
    assert found(tmp_path) == [("set/a", "a.nii", "a.nii")]


def test_the_root_may_be_several_folders_deep(tmp_path):
    touch(tmp_path, "one/two/images/a.nii", "one/two/labels/a.nii", "one/.unpacked.json", "one.zip")
    assert found(tmp_path) == [("set/a", "a.nii", "a.nii")]


def test_images_in_the_root_itself_come_first(tmp_path):
    touch(tmp_path, "images/a.nii", "labels/a.nii", "in/images/b.nii", "in/labels/b.nii")
    assert found(tmp_path) == [("set/a", "a.nii", "a.nii")]


@pytest.mark.parametrize(
    "files",
    [
        ["one/images/a.nii", "one/labels/a.nii", "two/readme.txt"],
        ["one/images/a.nii", "one/labels/a.nii", "two/images/a.nii", "two/labels/a.nii"],
    ],
)
def test_a_folder_with_several_subfolders_is_not_searched(tmp_path, files):
    touch(tmp_path, *files)
    with pytest.raises(UserError, match=rf"no such folder: {tmp_path}/images; a data set needs images/ with one file"):
        found(tmp_path)


@pytest.mark.parametrize(
    ("files", "message"),
    [
        (["images/a.nii", "labels/a.nii", "images/b.nii"], r"1 image\(s\) without label in .*: b\.nii; add the label"),
        (["images/a.nii", "labels/a.nii", "labels/b.nii"], r"1 label\(s\) without image in .*: b\.nii; add the image"),
        ([f"images/{n}.nii" for n in range(7)] + ["labels/0.nii"], r"6 image\(s\) .*: 1\.nii, .*, 5\.nii …;"),
        (["images/a.nii", "images/a.mha", "labels/a.nii"], r"two files for the case 'a': a\.mha and a\.nii in"),
        (["images/a.nii"], r"no such folder: .*/labels; a data set needs"),
        (["images/a.txt", "labels/a.nii"], r"no volumes in .*/images; expected files that end in \.nii\.gz"),
        (["images/a.nii", "labels/a.txt"], r"no volumes in .*/labels"),
    ],
)
def test_files_that_do_not_match_are_named(tmp_path, files, message):
    touch(tmp_path, *files)
    with pytest.raises(UserError, match=message):
        found(tmp_path)


def test_no_such_folder(tmp_path):
    with pytest.raises(UserError, match=r"no such folder: .*/nowhere; set the data set's root"):
        found(tmp_path / "nowhere")


def test_an_image_without_the_suffix_is_named(tmp_path):
    touch(tmp_path, "images/a_0000.nii", "images/b_0001.nii", "labels/a.nii", "labels/b.nii")
    with pytest.raises(UserError, match=r"b_0001\.nii does not end in '_0000'"):
        found(tmp_path, image_suffix="_0000")


def test_patients_by_pattern(tmp_path):
    names = ["P01_early", "P01_late", "P02_early"]
    touch(tmp_path, *(f"{kind}/{name}.nii" for kind in ("images", "labels") for name in names))
    cases = Folder(tmp_path, CODES, patient_pattern=r"(P\d+)_").cases("set")
    assert [(c.id, c.patient) for c in cases] == [
        ("set/P01_early", "set/P01"),
        ("set/P01_late", "set/P01"),
        ("set/P02_early", "set/P02"),
    ]


@pytest.mark.parametrize(
    ("pattern", "message"),
    [
        (r"P\d+", "has no group; put the part"),
        (r"(P\d+", "is not a regular expression: missing"),
        (r"(Q\d+)", "finds no patient in the name 'P01'"),
        (r"(Q\d+)?P", "finds no patient in the name 'P01'"),
        (r"(Q*)P", "finds no patient in the name 'P01'"),
    ],
)
def test_a_pattern_that_does_not_find_a_patient(tmp_path, pattern, message):
    touch(tmp_path, "images/P01.nii", "labels/P01.nii")
    with pytest.raises(UserError, match=message):
        Folder(tmp_path, CODES, patient_pattern=pattern).cases("set")


def test_a_ct_may_be_a_folder_with_a_dicom_series(tmp_path):
    touch(
        tmp_path,
        "images/a/1.dcm",
        "images/b/deep/1",
        "images/c.nii",
        "images/empty/.x",
        *(f"labels/{n}.nii" for n in "abc"),
    )
    (tmp_path / "images" / "bare").mkdir()
    assert found(tmp_path) == [("set/a", "a", "a.nii"), ("set/b", "b", "b.nii"), ("set/c", "c.nii", "c.nii")]


def test_a_series_without_a_label_is_named(tmp_path):
    touch(tmp_path, "images/a/1.dcm", "images/b.nii", "labels/b.nii")
    with pytest.raises(UserError, match=r"1 image\(s\) without label in .*: a;"):
        found(tmp_path)


def test_structures_of_two_sides(tmp_path):
    touch(tmp_path, "images/a.nii", "labels/a.nii")
    (case,) = Folder(tmp_path, {"kidney": 1}, sides={"kidney": ["right_kidney", "left_kidney"]}).cases("set")
    assert set(case.label.structures) == {"right_kidney", "left_kidney"}


def test_tissue_maps_are_paired_by_name(tmp_path):
    touch(tmp_path, *(f"{kind}/{name}.nii" for kind in ("images", "labels", "tissues") for name in "ab"))
    cases = Folder(tmp_path, CODES, tissues="tissues").cases("set")
    assert [case.tissues for case in cases] == [tmp_path / "tissues" / f"{name}.nii" for name in "ab"]
    assert [case.tissues for case in Folder(tmp_path, CODES).cases("set")] == [None, None]


def test_a_missing_tissue_map_is_named(tmp_path):
    touch(tmp_path, "images/a.nii", "labels/a.nii", "images/b.nii", "labels/b.nii")
    source = Folder(tmp_path, CODES, tissues="maps")
    with pytest.raises(UserError, match=r"no such folder: .*/maps; a data set needs maps/ with one file per case"):
        source.cases("set")
    touch(tmp_path, "maps/b.nii")
    with pytest.raises(UserError, match=r"the image a\.nii in .* has no tissue map in maps/; add it, or set tissues=n"):
        source.cases("set")
    refused = []
    assert [case.id for case in source.cases("set", refused)] == ["set/b"]
    assert [name for name, _ in refused] == ["set/a"]
