import json
from pathlib import Path

import pytest

from segment.data.splits.given_split import GivenSplit, NNUNetSplit
from segment.data.splits.split import check_trains
from segment.datasets.annotation_files import LabelFile
from segment.datasets.cases import Case
from segment.errors import UserError


def case(name, part="", source="set"):
    path = Path(f"{name}.nii.gz")
    return Case(f"{source}/{name}", f"{source}/{name}", path, LabelFile(path, {"liver": 1}), part=part)


def test_cases_are_in_the_part_that_their_authors_chose():
    cases = [case("a", "train"), case("b", "test"), case("c", "val"), case("d", "train")]
    assert GivenSplit()(cases).ids() == {"train": ["set/a", "set/d"], "val": ["set/c"], "test": ["set/b"]}


@pytest.mark.parametrize(
    ("cases", "message"),
    [
        ([case("a", "train"), case("b")], r"1 case\(s\) have no part, first set/b"),
        ([case("a", "train"), case("b", "test")], "leaves no case to validate"),
    ],
)
def test_missing_parts_are_refused(cases, message):
    with pytest.raises(UserError, match=message):
        check_trains(GivenSplit()(cases))


FOLDS = [{"train": ["a", "b"], "val": ["c"]}, {"train": ["c", "a"], "val": ["b"]}]
CASES = [case(name) for name in "abcd"] + [case("t", "test")]


@pytest.fixture
def splits(tmp_path):
    def write(content, fold=0):
        path = tmp_path / "splits_final.json"
        path.write_text(content if isinstance(content, str) else json.dumps(content))
        return NNUNetSplit(path, fold)

    return write


def test_folds_of_nnunet(splits):
    split = splits(FOLDS)
    assert split(CASES).ids() == {"train": ["set/a", "set/b"], "val": ["set/c"], "test": ["set/t"]}
    assert splits(FOLDS, 1)(CASES).ids() == {"train": ["set/c", "set/a"], "val": ["set/b"], "test": ["set/t"]}
    assert split(CASES[:4]).test == ()


@pytest.mark.parametrize(
    ("content", "fold", "message"),
    [
        (FOLDS, 2, r"has 2 fold\(s\), so there is no split\.fold=2"),
        (FOLDS, -1, "fold must be a whole number of at least 0, got -1"),
        ([{"train": ["a"], "val": ["x"]}], 0, r"names 1 case\(s\) that the data lacks, first 'x'; it has a, b, c"),
        ([{"train": ["a"], "val": ["t"]}], 0, "patient set/t is in both val and test"),
        ([{"train": ["a"]}], 0, "does not hold"),
        ({"train": ["a"], "val": ["b"]}, 0, "does not hold"),
        (3, 0, "does not hold"),
        ("{", 0, "is not JSON: .*; correct it or download it again"),
    ],
)
def test_an_unusable_file_is_refused(splits, content, fold, message):
    with pytest.raises(UserError, match=message):
        splits(content, fold)(CASES)


def test_one_name_in_two_sources_is_refused(splits):
    with pytest.raises(UserError, match=r"set/a and two/a have the same name in .*; exclude one .* with data.exclude"):
        splits(FOLDS)([*CASES, case("a", source="two")])


def test_a_missing_file_is_refused(tmp_path):
    with pytest.raises(UserError, match=r"cannot read .*: No such file.*; check the path"):
        NNUNetSplit(tmp_path / "splits_final.json")(CASES)
