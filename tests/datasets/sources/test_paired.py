import pytest
from small_ct import touch

from segment.datasets.sources.paired import Pair, Paired
from segment.errors import UserError

PAIRS = [Pair("images*/{case}_0000.nii.gz", "labels/{case}.nii.gz")]


def test_cases_are_found_at_any_depth_and_files_of_macos_are_ignored(tmp_path):
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


def test_unlabelled_cts_can_be_skipped_and_are_counted(tmp_path, caplog):
    touch(tmp_path, "images/a_0000.nii.gz", "images/b_0000.nii.gz", "labels/a.nii.gz")
    with pytest.raises(UserError, match=r"1 image\(s\) without label in .*; add the label or remove the image"):
        Paired(tmp_path, PAIRS, {"liver": 1}).cases("set")
    assert [c.id for c in Paired(tmp_path, PAIRS, {"liver": 1}, only_labelled=True).cases("set")] == ["set/a"]
    assert "1 of 2 CTs have no label and are skipped: b" in caplog.text


def test_the_error_without_any_label_names_the_manual_steps(tmp_path):
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
def test_files_that_do_not_match_are_named(tmp_path, files, message):
    touch(tmp_path, *files)
    with pytest.raises(UserError, match=message):
        Paired(tmp_path, PAIRS, {"liver": 1}).cases("set")


def test_one_case_in_two_pairs(tmp_path):
    touch(tmp_path, *(f"{folder}/a.nii" for folder in ("x", "xl", "y", "yl")))
    pairs = [Pair(f"{folder}/{{case}}.nii", f"{folder}l/{{case}}.nii") for folder in "xy"]
    with pytest.raises(UserError, match="the case set/a is in both"):
        Paired(tmp_path, pairs, {"liver": 1}).cases("set")


TREE = [Pair("{case}/ct.nii.gz", "{case}/label.nii.gz")]


@pytest.mark.parametrize(
    ("folders", "expected"),
    [
        (["p1", "p2"], [("p1", "p1"), ("p2", "p2")]),
        (["tr/p1/p1_v1", "tr/p1/p1_v2", "tr/p2/p2_v1"], [("p1_p1_v1", "p1"), ("p1_p1_v2", "p1"), ("p2_p2_v1", "p2")]),
        (
            ["p1/pre", "p1/post", "p2/pre", "p2/post"],
            [("p1_post", "p1"), ("p1_pre", "p1"), ("p2_post", "p2"), ("p2_pre", "p2")],
        ),
        (["set/p1", "set/x/p2"], [("p1", "p1"), ("x_p2", "x")]),
        (["p1/v1", "p1/v2"], [("p1_v1", "p1"), ("p1_v2", "p1")]),
        (["set/p1/v1", "set/p1/v2"], [("p1_v1", "p1"), ("p1_v2", "p1")]),
    ],
)
def test_a_scan_in_a_tree_belongs_to_the_patient_of_its_folder(tmp_path, folders, expected):
    touch(tmp_path, *(f"{folder}/{name}.nii.gz" for folder in folders for name in ("ct", "label")))
    source = Paired(tmp_path, TREE, {"liver": 1}, named_by_path=True)
    cases = source.cases("set")
    assert [(c.id, c.patient) for c in cases] == [(f"set/{name}", f"set/{patient}") for name, patient in expected]
    assert all(case.image.parent == case.label.path.parent for case in cases)
    assert not source.left_out(cases)


def test_a_single_folder_is_the_patient_unless_it_is_the_root(tmp_path, caplog):
    touch(tmp_path, *(f"set/{patient}/{name}.nii.gz" for patient in ("p1", "p2") for name in ("ct", "label")))
    Paired(tmp_path, TREE, {"liver": 1}, named_by_path=True).cases("x")
    assert "2 CTs are in one folder and count as scans of one patient, x/set; if they are of several, set root" in (
        caplog.text
    )
    cases = Paired(tmp_path / "set", TREE, {"liver": 1}, named_by_path=True).cases("x")
    assert [case.patient for case in cases] == ["x/p1", "x/p2"]


def test_patterns_are_matched_against_the_whole_name_in_a_tree(tmp_path):
    folders = ("p1/v1", "p1/v2", "p2/v1", "p2/mr")
    touch(tmp_path, *(f"{folder}/{name}.nii.gz" for folder in folders for name in ("ct", "label")))
    cases = Paired(tmp_path, TREE, {"liver": 1}, r".*_v\d", r"(p\d_v)", named_by_path=True).cases("set")
    assert [(c.id, c.patient) for c in cases] == [
        ("set/p1_v1", "set/p1_v"),
        ("set/p1_v2", "set/p1_v"),
        ("set/p2_v1", "set/p2_v"),
    ]


def test_folders_that_result_in_the_same_name_are_refused(tmp_path):
    touch(tmp_path, *(f"{folder}/{name}.nii.gz" for folder in ("p1/a_b", "p1_a/b") for name in ("ct", "label")))
    with pytest.raises(UserError, match=r"two files for the case 'p1_a_b': .*; rename one, or its folder, or move"):
        Paired(tmp_path, TREE, {"liver": 1}, named_by_path=True).cases("set")


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
def test_invalid_pairs(arguments, message):
    with pytest.raises(UserError, match=message):
        Pair(*arguments)
