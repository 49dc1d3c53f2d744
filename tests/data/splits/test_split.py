import json
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from segment.data.splits.random_split import RandomSplit
from segment.data.splits.split import FileSplit, SharedSplit, check_trains
from segment.datasets.cases import PARTS, Case
from segment.errors import UserError


def make(*names, source="set", patients=None):
    return [
        Case(f"{source}/{name}", f"{source}/{patients[name] if patients else name}", "image", None) for name in names
    ]


TWENTY = make(*(f"c{i:02}" for i in range(20)))

case_lists = st.lists(st.integers(0, 30), min_size=4, max_size=60).map(
    lambda patients: make(
        *(f"c{i}" for i in range(len(patients))), patients={f"c{i}": p for i, p in enumerate(patients)}
    )
)


def test_parts_have_their_shares_of_the_patients():
    split = RandomSplit(val=0.15, test=0.2, seed=0)(TWENTY)
    assert {part: len(ids) for part, ids in split.ids().items()} == {"train": 13, "val": 3, "test": 4}
    assert not split.shared


@given(cases=case_lists, seed=st.integers(0, 99), data=st.data())
def test_each_case_is_in_one_part_with_its_patient_in_any_order(cases, seed, data):
    try:
        split = RandomSplit(val=0.3, test=0.2, seed=seed)(cases)
    except UserError:  # too few patients
        assert round(len({c.patient for c in cases}) * 0.3) == 0
        return
    ids = split.ids()
    assert sorted(name for part in ids.values() for name in part) == sorted(c.id for c in cases)
    patients = [case.patient for part in PARTS for case in {c.patient: c for c in getattr(split, part)}.values()]
    assert len(patients) == len(set(patients))
    again = RandomSplit(val=0.3, test=0.2, seed=seed)(data.draw(st.permutations(cases)))
    assert again.ids() == ids


def test_seeds_give_different_splits():
    val = {tuple(RandomSplit(0.15, 0.2, seed)(TWENTY).ids()["val"]) for seed in range(20)}
    assert len(val) > 15


def test_every_case_validates_with_some_seed():
    counts = Counter(case for seed in range(300) for case in RandomSplit(0.15, 0.2, seed)(TWENTY).ids()["val"])
    assert len(counts) == 20
    assert min(counts.values()) > 20  # 45 expected, standard deviation 6
    assert max(counts.values()) < 70


def test_every_source_is_split_independently_of_others():
    other, one = make(*"abcdefghij", source="other"), make("x", source="one")
    split = RandomSplit(0.15, 0.2, 3)
    mixed, alone = split([*one, *other, *TWENTY]).ids(), split(TWENTY).ids()
    for part in PARTS:
        assert [name for name in mixed[part] if name.startswith("set/")] == alone[part]
    assert {p: sum(name.startswith("other/") for name in mixed[p]) for p in PARTS} == {"train": 6, "val": 2, "test": 2}
    assert "one/x" in mixed["train"]


@pytest.mark.parametrize(("val", "test"), [(0, 0.2), (1, 0), (0.2, -0.1), (-0.1, 0.3), (0.2, 1)])
def test_shares_out_of_range_are_refused(val, test):
    with pytest.raises(UserError, match=rf"val must be .* got {val}|test must be .* but not 1, got {test}"):
        RandomSplit(val, test, 0)


@pytest.mark.parametrize(("val", "test"), [(0.5, 0.5), (0.6, 0.5)])
def test_shares_that_leave_no_training_case_are_refused(val, test):
    with pytest.raises(UserError, match=rf"shares of the split must leave cases to train: val={val}, test={test};"):
        RandomSplit(val, test, 0)


def test_a_split_without_validation_case_is_refused():
    message = r"leaves no case to validate \(3 train, 0 val, 0 test, of 3 patients\); .*split\.val=.*split=shared"
    with pytest.raises(UserError, match=message):
        check_trains(RandomSplit(0.15, 0.1, 0)(make("a", "b", "c")))


def test_a_split_without_training_case_is_refused():
    with pytest.raises(UserError, match="leaves no case to train"):
        check_trains(RandomSplit(0.5, 0.49, 0)(make("a", "b")))


def write(path, **parts):
    path.write_text(json.dumps(parts))
    return FileSplit(path)


def test_the_split_of_a_run_can_be_used_again(tmp_path):
    split = RandomSplit(0.15, 0.2, 5)(TWENTY)
    read_back = write(tmp_path / "split.json", **split.ids())(TWENTY[::-1])
    assert read_back == split


def test_cases_that_the_file_does_not_name_are_left_out(tmp_path):
    split = write(tmp_path / "s.json", train=["set/c03"], val=["set/c01"])(TWENTY)
    assert split.ids() == {"train": ["set/c03"], "val": ["set/c01"], "test": []}


@pytest.mark.parametrize(
    ("parts", "message"),
    [
        ({"train": ["set/a"], "val": []}, "leaves no case to validate"),
        (
            {"train": ["set/a"], "val": ["set/b"], "tests": []},
            r"s\.json has the part 'tests'; rename it to one of train, val, test, or remove it",
        ),
        ({"val": ["set/a"]}, "leaves no case to train"),
        ({"train": ["set/a"], "val": ["set/c"]}, "patient set/P is in both train and val; keep it in one"),
        ({"train": ["set/a"], "val": ["set/b"], "test": ["set/b"]}, "patient set/Q is in both val and test"),
        ({"train": ["set/a", "set/a"], "val": ["set/b"]}, "the split names set/a twice in train; name it once"),
        (
            {"train": ["set/a"], "val": ["b", "set/x"]},
            r"names 2 case\(s\) that the data lacks, first 'b'; it has set/a",
        ),
    ],
)
def test_an_unusable_split_is_refused(tmp_path, parts, message):
    cases = make("a", "b", "c", patients={"a": "P", "b": "Q", "c": "P"})
    with pytest.raises(UserError, match=message):
        check_trains(write(tmp_path / "s.json", **parts)(cases))


def test_a_file_may_name_test_cases_only(tmp_path):
    split = write(tmp_path / "s.json", test=["set/c01"])(TWENTY)
    assert split.ids() == {"train": [], "val": [], "test": ["set/c01"]}
    with pytest.raises(UserError, match=r"leaves no case to train \(0 train, 0 val, 1 test, of 1 patients\)"):
        check_trains(split)


@pytest.mark.parametrize("text", ["", "[1]", '{"train": 3}', '{"train": null}', "\x00\xff"])
def test_a_file_that_is_not_a_split_is_refused(tmp_path, text):
    (tmp_path / "s.json").write_bytes(text.encode("latin-1"))
    with pytest.raises(UserError, match=r"cannot read .*s\.json: .*; a split is \{\"train\": \[ids\]"):
        FileSplit(tmp_path / "s.json")(TWENTY)


def test_a_missing_file_is_refused(tmp_path):
    with pytest.raises(UserError, match=r"cannot read .*s\.json"):
        FileSplit(tmp_path / "s.json")(TWENTY)


def test_one_case_in_all_parts():
    split = SharedSplit()(TWENTY)
    assert split.ids() == {part: ["set/c00"] for part in PARTS}
    assert split.shared
    assert SharedSplit("set/c07")(TWENTY).ids() == {part: ["set/c07"] for part in PARTS}


def test_a_case_that_does_not_exist_is_refused():
    with pytest.raises(UserError, match=r"split\.case=x is not a case; choose one of set/c00, set/c01"):
        SharedSplit("x")(TWENTY)
