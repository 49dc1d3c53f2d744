"""Synthetic cases from label maps only train, and never beside a validation or test of the same patient."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from segment.data.splits.given_split import GivenSplit, NNUNetSplit
from segment.data.splits.random_split import RandomSplit
from segment.data.splits.split import FileSplit, SharedSplit
from segment.data.splits.volume_checks import check_origins
from segment.datasets.cases import PARTS, Case
from segment.errors import UserError


def real(number, part=""):
    return Case(f"set/c{number:02}", f"set/p{number:02}", "image", None, part=part)


def made(origin, variant=0):
    name = origin.id.replace("/", "_")
    return Case(f"maps/{name}_{variant}", origin.patient, "image", None, part="train", made_from=origin)


REAL = [real(number, PARTS[number % 3]) for number in range(15)]
ALL = [*REAL, *(made(case, variant) for case in REAL for variant in range(2))]


def check_separate(split, cases):
    """Every synthetic case of a training patient trains; the others are in no part."""
    assert all(case.made_from is None for case in (*split.val, *split.test))
    held_out = {case.patient for case in (*split.val, *split.test)}
    trains = [case for case in split.train if case.made_from is not None]
    assert not held_out & {case.patient for case in trains}
    training = {case.patient for case in split.train if case.made_from is None}
    assert [case.id for case in trains] == [c.id for c in cases if c.made_from is not None and c.patient in training]


@given(number=st.integers(6, 15), val=st.floats(0.2, 0.4), test=st.floats(0, 0.4), seed=st.integers(0, 99))
def test_random(number, val, test, seed):
    cases = [*REAL[:number], *(made(case, v) for case in REAL[:number] for v in range(2))]
    split = RandomSplit(val, test, seed)(cases)
    check_separate(split, cases)
    alone = RandomSplit(val, test, seed)(REAL[:number])
    assert (split.val, split.test) == (alone.val, alone.test)  # synthetic cases move no real one


@pytest.mark.parametrize("test", [0, 0.2])
@pytest.mark.parametrize("fold", range(3))
def test_folds(fold, test):
    asked = []

    def organs_of(cases):
        asked.extend(cases)
        return {case.id: [1] for case in cases}

    split = RandomSplit(0.2, test, 0, folds=3, fold=fold)(ALL, organs_of)
    check_separate(split, ALL)
    assert asked == REAL  # labels of synthetic cases are not read to balance the folds


def test_given():
    split = GivenSplit()(ALL)
    check_separate(split, ALL)
    assert [case.id for case in split.val] == [case.id for case in REAL if case.part == "val"]


def test_nnunet(tmp_path):
    path = tmp_path / "splits_final.json"
    path.write_text(json.dumps([{"train": ["c00", "c03"], "val": ["c01"]}]))
    check_separate(NNUNetSplit(path)(ALL), ALL)


def write(path, **parts):
    path.write_text(json.dumps(parts))
    return FileSplit(path)


def test_a_file_of_real_cases(tmp_path):
    split = write(tmp_path / "s.json", train=["set/c00", "set/c01"], val=["set/c02"], test=["set/c03"])(ALL)
    check_separate(split, ALL)
    assert split.ids()["train"] == ["set/c00", "set/c01", *(f"maps/set_c0{n}_{v}" for n in range(2) for v in range(2))]


def test_a_file_that_names_synthetic_cases_decides_which_are_used(tmp_path):
    split = write(tmp_path / "s.json", train=["maps/set_c00_1"], val=["set/c02"])(ALL)
    assert split.ids() == {"train": ["maps/set_c00_1"], "val": ["set/c02"], "test": []}


def test_the_split_of_a_run_is_read_as_it_was(tmp_path):
    before = RandomSplit(0.2, 0.2, 0)(ALL)
    assert write(tmp_path / "s.json", **before.ids())(ALL) == before


@pytest.mark.parametrize("part", ["val", "test"])
def test_a_file_cannot_make_a_synthetic_case_validate_or_test(tmp_path, part):
    named = {"train": ["set/c00"], "val": ["set/c01"], "test": []}
    named[part] = [*named[part], "maps/set_c05_0"]
    with pytest.raises(UserError, match=r"maps/set_c05_0 is synthetic, made from a label map: it can only train"):
        write(tmp_path / "s.json", **named)(ALL)


def test_a_file_cannot_train_on_the_map_of_a_patient_who_tests(tmp_path):
    with pytest.raises(UserError, match="patient set/p03 is in both train and test"):
        write(tmp_path / "s.json", train=["maps/set_c03_0"], val=["set/c01"], test=["set/c03"])(ALL)


def test_shared_uses_real_cases_only():
    assert SharedSplit()([*ALL[15:], *REAL]).train == (REAL[0],)
    with pytest.raises(UserError, match="maps/set_c00_0 is not a case"):
        SharedSplit("maps/set_c00_0")(ALL)


def test_without_their_originals_synthetic_cases_train():
    other = [Case(f"other/{n}", f"other/{n}", "image", None) for n in range(6)]
    cases = [*other, *ALL[15:19]]
    split = RandomSplit(0.2, 0.2, 0)(cases)
    assert [case.id for case in split.train if case.made_from is not None] == [case.id for case in ALL[15:19]]


def test_a_ct_that_tests_under_another_name_is_found_by_its_voxels():
    split = RandomSplit(0.2, 0.2, 0)(ALL)
    hashes = {case.id: case.id for case in split.cases()}
    (first, *_), tested = [case for case in split.train if case.made_from is not None], split.test[0]
    check_origins(split, hashes, {first.id: "other"})
    with pytest.raises(UserError, match=rf"{first.id} \(train\) was made from the label map of a CT .* {tested.id}, "):
        check_origins(split, hashes, {first.id: hashes[tested.id]})
