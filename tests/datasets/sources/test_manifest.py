import json

import pytest
from small_ct import CODES, touch

from segment.datasets.annotation_files import LabelFile, MaskFiles, SegFile
from segment.datasets.sources.manifest import Manifest
from segment.errors import UserError


@pytest.fixture
def table(tmp_path):
    touch(
        tmp_path,
        "ct/a.nii.gz",
        "ct/b/1.dcm",
        "seg/a.nii.gz",
        "seg/b.nrrd",
        "masks/a_liver.nii.gz",
        "masks/a_spleen.nii",
    )

    def write(text, name="cases.csv", encoding="utf-8"):
        (tmp_path / name).write_text(text, encoding=encoding)
        return tmp_path / name

    return write


@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig"])
def test_files_of_codes(table, tmp_path, delimiter, encoding):
    text = (
        "case,patient,image,label,group,split,age\n"
        "a,p1,ct/a.nii.gz,seg/a.nii.gz,GE,train,70\n"
        f"b,p1,{tmp_path}/ct/b, seg/b.nrrd ,,,\n"
    ).replace(",", delimiter)
    a, b = Manifest(table(text, encoding=encoding), CODES).cases("m")
    assert (a.id, a.patient, a.group, a.part) == ("m/a", "m/p1", "GE", "train")
    assert (b.id, b.patient, b.group, b.part) == ("m/b", "m/p1", "", "")
    assert (a.image, b.image) == (tmp_path / "ct/a.nii.gz", tmp_path / "ct/b")
    assert a.label == LabelFile(tmp_path / "seg/a.nii.gz", CODES)
    assert b.label == LabelFile(tmp_path / "seg/b.nrrd", CODES)


def test_masks_with_an_empty_cell_for_an_unknown_structure(table, tmp_path):
    text = "case,image,label:Liver,label:spleen\na,ct/a.nii.gz,masks/a_liver.nii.gz,\nb,ct/b,,masks/a_spleen.nii\n"
    a, b = Manifest(table(text)).cases("m")
    assert a.patient == "m/a"
    assert a.label == MaskFiles({"liver": tmp_path / "masks/a_liver.nii.gz"})
    assert b.label == MaskFiles({"spleen": tmp_path / "masks/a_spleen.nii"})


def test_json(table, tmp_path):
    rows = [{"case": 7, "image": "ct/a.nii.gz", "label": "seg/a.nii.gz", "group": None, "label:liver": None}]
    (case,) = Manifest(table(json.dumps(rows), "cases.json"), CODES).cases("m")
    assert (case.id, case.group, case.label) == ("m/7", "", LabelFile(tmp_path / "seg/a.nii.gz", CODES))


def test_sides(table):
    text = "case,image,label\na,ct/a.nii.gz,seg/a.nii.gz\n"
    (case,) = Manifest(table(text), {"kidney": 1}, {"kidney": ["right_kidney", "left_kidney"]}).cases("m")
    assert set(case.label.structures) == {"right_kidney", "left_kidney"}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("case,image,label\na,,seg/a.nii.gz\n", "has no image in row 1; fill the columns case and image"),
        ("name,image,label\na,ct/a.nii.gz,seg/a.nii.gz\n", "has no case in row 1"),
        ("case,image,label\na,ct/x.nii.gz,seg/a.nii.gz\n", r"gives a the file ct/x\.nii\.gz, but there is no"),
        (
            "case,image,label\na,ct/a.nii.gz,seg/x.nii.gz\n",
            r"gives a the file seg/x\.nii\.gz, but there is no .*; correct the path",
        ),
        ("case,image,label\na,ct/a.nii.gz,\n", "gives a neither label nor label:<organ>"),
        (
            "case,image,label,label:liver\na,ct/a.nii.gz,seg/a.nii.gz,seg/a.nii.gz\n",
            "gives a both label and label:<organ>; give it one of them",
        ),
        (
            "case,image,label,split\na,ct/a.nii.gz,seg/a.nii.gz,dev\n",
            "puts a into 'dev'; its column split may hold train, val, test",
        ),
        ("case,image,label\n" + "a,ct/a.nii.gz,seg/a.nii.gz\n" * 2, "names the case a more than once"),
        ("case,image,label\n", "lists no cases"),
        ("", "lists no cases; add one row for each"),
    ],
)
def test_mistakes_in_a_table_are_named(table, text, message):
    with pytest.raises(UserError, match=message):
        Manifest(table(text), CODES).cases("m")


def test_codes_that_are_not_declared(table):
    with pytest.raises(UserError, match="state what these mean in label_codes"):
        Manifest(table("case,image,label\na,ct/a.nii.gz,seg/a.nii.gz\n")).cases("m")


@pytest.mark.parametrize("text", ['{"case": "a"}', '["a"]', "[{"])
def test_json_that_is_not_a_list_of_cases(table, text):
    with pytest.raises(UserError, match="is not"):
        Manifest(table(text, "cases.json"), CODES).cases("m")


def test_no_table(tmp_path):
    with pytest.raises(UserError, match=r"cannot read .*cases\.csv"):
        Manifest(tmp_path / "cases.csv").cases("m")
    (tmp_path / "cases.csv").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(UserError, match=r"cannot read .*cases\.csv: .*; give a CSV file in UTF-8"):
        Manifest(tmp_path / "cases.csv").cases("m")


def test_a_series_is_chosen(tmp_path):
    (tmp_path / "ct").mkdir()
    (tmp_path / "a.nii.gz").touch()
    (tmp_path / "m.csv").write_text("case,image,label,series\na,ct,a.nii.gz,1.2.3\nb,ct,a.nii.gz,\n")
    cases = Manifest(tmp_path / "m.csv", {"liver": 1}).cases("set")
    assert [case.series for case in cases] == ["1.2.3", None]


def test_a_dicom_segmentation_needs_no_codes(tmp_path):
    (tmp_path / "a.nii.gz").touch()
    (tmp_path / "a.dcm").touch()
    (tmp_path / "m.csv").write_text("case,image,label\na,a.nii.gz,a.dcm\n")
    (case,) = Manifest(tmp_path / "m.csv").cases("set")
    assert case.label == SegFile(tmp_path / "a.dcm")
