import pytest
from small_ct import touch

from segment.data.sources.paired import Pair, Paired
from segment.errors import UserError

PAIRS = [Pair("images*/{case}_0000.nii.gz", "labels/{case}.nii.gz")]


def test_cases_are_found_however_deep_and_whatever_a_mac_left(tmp_path):
    touch(
        tmp_path, "x/part1/images1/a_0000.nii.gz", "part2/images2/b_0000.nii.gz", "labels/a.nii.gz", "labels/b.nii.gz"
    )
    touch(tmp_path, "__MACOSX/images1/._a_0000.nii.gz", "__MACOSX/images1/a_0000.nii.gz", "labels/._a.nii.gz")
    cases = Paired(tmp_path, PAIRS, {"liver": 1}).cases("set")
    assert [(c.id, c.image.parent.name, c.label.path.name) for c in cases] == [
        ("set/a", "images1", "a.nii.gz"),
        ("set/b", "images2", "b.nii.gz"),
    ]


def test_parts_and_patterns(tmp_path):
    pairs = [Pair("Tr/{case}.nii", "TrL/{case}.nii", "train"), Pair("Va/{case}.nii", "VaL/{case}.nii", "val")]
    touch(tmp_path, "Tr/p1_1.nii", "TrL/p1_1.nii", "Va/p2_2.nii", "VaL/p2_2.nii", "Tr/mr_3.nii", "TrL/mr_3.nii")
    cases = Paired(tmp_path, pairs, {"liver": 1}, r"p.*", r"(p\d)_").cases("set")
    found = [(c.id, c.patient, c.part) for c in cases]
    assert found == [("set/p1_1", "set/p1", "train"), ("set/p2_2", "set/p2", "val")]


def test_unlabelled_cts_can_be_passed_over_but_are_counted(tmp_path, caplog):
    touch(tmp_path, "images/a_0000.nii.gz", "images/b_0000.nii.gz", "labels/a.nii.gz")
    with pytest.raises(UserError, match=r"1 image\(s\) without label in .*; add the label or remove the image"):
        Paired(tmp_path, PAIRS, {"liver": 1}).cases("set")
    assert [c.id for c in Paired(tmp_path, PAIRS, {"liver": 1}, only_labelled=True).cases("set")] == ["set/a"]
    assert "1 of 2 CTs have no label and are passed over: b" in caplog.text


def test_cts_without_any_label_need_the_steps_by_hand(tmp_path):
    touch(tmp_path, "images/a_0000.nii.gz", "images2/b_0000.nii.gz", "elsewhere/a.nii.gz")
    with pytest.raises(
        UserError, match=r"2 CTs and no label like labels/\{case\}\.nii\.gz in .*follow the set's steps"
    ):
        Paired(tmp_path, PAIRS, {"liver": 1}, only_labelled=True).cases("set")


@pytest.mark.parametrize(
    ("files", "message"),
    [
        (["images/a_0000.nii.gz", "images2/a_0000.nii.gz", "labels/a.nii.gz"], "two files for the case 'a'"),
        (["labels/a.nii.gz"], r"1 label\(s\) without image"),
        (["elsewhere/a.nii.gz"], r"no CT in .* has a path that ends like images\*/\{case\}_0000"),
    ],
)
def test_what_does_not_fit_is_named(tmp_path, files, message):
    touch(tmp_path, *files)
    with pytest.raises(UserError, match=message):
        Paired(tmp_path, PAIRS, {"liver": 1}).cases("set")


def test_one_case_in_two_pairs(tmp_path):
    touch(tmp_path, *(f"{folder}/a.nii" for folder in ("x", "xl", "y", "yl")))
    pairs = [Pair(f"{folder}/{{case}}.nii", f"{folder}l/{{case}}.nii") for folder in "xy"]
    with pytest.raises(UserError, match="the case set/a is in both"):
        Paired(tmp_path, pairs, {"liver": 1}).cases("set")


def test_no_root(tmp_path):
    with pytest.raises(UserError, match=r"no such folder: .* that its archive was unpacked into"):
        Paired(tmp_path / "nowhere", PAIRS, {"liver": 1}).cases("set")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("images/a.nii", "labels/{case}.nii"), "must hold {case} once"),
        (("{case}/{case}.nii", "labels/{case}.nii"), "must hold {case} once"),
        (
            ("i/{case}.nii", "l/{case}.nii", "dev"),
            "the part of .* is 'dev'; give one of train, val, test, or leave it out",
        ),
    ],
)
def test_pairs_that_cannot_be(arguments, message):
    with pytest.raises(UserError, match=message):
        Pair(*arguments)
