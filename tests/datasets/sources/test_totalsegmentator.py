import numpy as np
import pytest
from small_ct import save, touch

from segment.datasets.sources.totalsegmentator import TotalSegmentator
from segment.errors import UserError
from segment.io.read import read_ct

NAMES = {"liver": "liver", "kidney_right": "right_kidney"}
TABLE = (
    "image_id;age;gender;institute;study_type;split;manufacturer;scanner_model\n"
    "s0000;80;m;A;ct abdomen;train;siemens;Flash\n"
    "s0001;;;B;ct thorax;test;ge;\n"
)


def dataset(root, table=TABLE):
    for case in ("s0000", "s0001"):
        touch(root, f"{case}/ct.nii.gz", *(f"{case}/segmentations/{n}.nii.gz" for n in (*NAMES, "rib_left_1")))
    if table:
        (root / "meta.csv").write_text(table, encoding="utf-8-sig")
    return root


@pytest.mark.parametrize("around", ["", "Totalsegmentator_dataset_v201"])
def test_masks_groups_and_parts(tmp_path, around):
    root = dataset(tmp_path / around)
    cases = TotalSegmentator(tmp_path, NAMES).cases("ts")
    assert [(c.id, c.patient, c.group, c.part) for c in cases] == [
        ("ts/s0000", "ts/s0000", "A", "train"),
        ("ts/s0001", "ts/s0001", "B", "test"),
    ]
    assert dict(cases[0].label.paths) == {
        "liver": root / "s0000/segmentations/liver.nii.gz",
        "right_kidney": root / "s0000/segmentations/kidney_right.nii.gz",
    }


def test_groups_of_several_columns(tmp_path):
    cases = TotalSegmentator(dataset(tmp_path), NAMES, ["institute", "scanner_model"]).cases("ts")
    assert [c.group for c in cases] == ["A Flash", "B"]


def test_without_a_table_there_are_no_groups(tmp_path):
    assert {(c.group, c.part) for c in TotalSegmentator(dataset(tmp_path, ""), NAMES).cases("ts")} == {("", "")}


def test_masks_become_classes(tmp_path):
    for name, voxels in (("liver", [1, 1, 0, 0]), ("kidney_right", [0, 0, 0, 1])):
        save(tmp_path / f"s1/segmentations/{name}.nii.gz", np.array(voxels, np.uint8).reshape(4, 1, 1))
    save(tmp_path / "s1/ct.nii.gz", np.full((4, 1, 1), -1000, np.int16))
    save(tmp_path / "s2/ct.nii.gz", np.full((4, 1, 1), -1000, np.int16))
    one, two = TotalSegmentator(tmp_path, NAMES).cases("ts")
    classes = one.label.read(read_ct(one.image), one.image, ["right_kidney", "liver"])
    assert classes.ravel().tolist() == [2, 2, 0, 1]
    assert list(two.label.structures) == []  # unknown, not absent


@pytest.mark.parametrize(
    ("names", "table", "message"),
    [
        (NAMES | {"lung": "lung"}, TABLE, "names declares 'lung', but no case"),
        ({"liver": "x", "kidney_right": "x"}, TABLE, "gives two masks the name x"),
        (NAMES, TABLE.replace("institute", "place"), "has no column 'institute', but image_id, age"),
        (NAMES, TABLE.replace("s0001", "s0002"), "has no row for s0001"),
        (NAMES, TABLE.replace("test", "dev"), "puts s0001 into 'dev'; its column split may hold train, val, test"),
    ],
)
def test_mistakes_in_names_and_table_are_named(tmp_path, names, table, message):
    with pytest.raises(UserError, match=message):
        TotalSegmentator(dataset(tmp_path, table), names).cases("ts")


def test_no_cases(tmp_path):
    with pytest.raises(UserError, match=r"no <case>/ct\.nii\.gz in"):
        TotalSegmentator(tmp_path, NAMES).cases("ts")
    with pytest.raises(UserError, match=r"no such folder: .*nowhere; set .* to the folder that holds"):
        TotalSegmentator(tmp_path / "nowhere", NAMES).cases("ts")
