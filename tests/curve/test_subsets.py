import dataclasses
from pathlib import Path

import pytest

from segment.curve.subsets import choose_sizes, make_subsets, read_subsets, with_new_cases
from segment.curve.trainings import plan_trainings
from segment.data.splits.split import Split
from segment.datasets.annotation_files import LabelFile
from segment.datasets.cases import Case
from segment.errors import UserError


def case(name, patient=None, **more):
    return Case(name, patient or f"patient of {name}", Path(name), LabelFile(Path(name), {}), **more)


def cases(prefix, number):
    return tuple(case(f"{prefix}{index}") for index in range(number))


def subsets(train=12, test=4, seed=0):
    return make_subsets(Split(cases("train", train), cases("val", 2), cases("test", test)), seed, 30)


def test_trainings_of_a_repeat_are_nested_and_repeats_differ():
    made = subsets()
    small, large = made.training(3, repeat=0), made.training(8, repeat=0)
    assert len(small) == 3
    assert large[:3] == small
    assert len(set(large)) == 8
    assert set(made.training(3, repeat=1)) != set(small)
    assert set(made.training(12, repeat=0)) == set(made.training(12, repeat=1))
    assert made.training(3, 0) == subsets().training(3, 0)
    assert made.training(8, 0) != subsets(seed=1).training(8, 0)


def test_all_trainings_are_validated_and_tested_on_the_same_cases():
    first, second = subsets().split(3, 0), subsets().split(12, 1)
    assert first["val"] == second["val"] == ["val0", "val1"]
    assert first["test"] == second["test"] == ["test0", "test1", "test2", "test3"]


def test_a_patient_is_not_divided():
    train = (case("a", "p"), case("b", "p"), case("c", "q"), case("d", "q"), case("e", "r"))
    made = make_subsets(Split(train, cases("val", 1), cases("test", 3)), 0, None)
    assert made.have == made.patches_per_epoch == 5
    for repeat in range(8):
        chosen = set(made.training(2, repeat))
        assert {"a", "b"} <= chosen or not {"a", "b"} & chosen
        assert {"c", "d"} <= chosen or not {"c", "d"} & chosen
        assert 2 <= len(chosen) <= 3


def of_two_cts(patients):
    train = tuple(case(f"{patient}{scan}", f"patient {patient}") for patient in range(patients) for scan in "ab")
    return make_subsets(Split(train, cases("val", 1), cases("test", 3)), 0, None)


def test_numbers_of_cts_that_give_the_same_training_are_trained_once():
    made = of_two_cts(10)
    planned = plan_trainings([5, 6, 12], 2)
    assert made.distinct(planned) == [(6, 0), (12, 0), (6, 1), (12, 1)]
    assert made.training(6, 1) == made.training(5, 1)
    assert subsets().distinct(planned) == planned


def test_numbers_of_cts_that_give_the_same_trainings_are_no_curve():
    message = r"sizes=\[5, 6, 12\]: patients with several CTs are not divided, so these are \[6, 12\] training CTs"
    with pytest.raises(UserError, match=message):
        choose_sizes([5, 6, 12], of_two_cts(10))
    assert choose_sizes([4, 5, 6, 12], of_two_cts(10)) == [4, 5, 6, 12]


def test_cases_made_from_label_maps_are_not_counted():
    train = (*cases("train", 6), case("made", "patient of train0", made_from=case("train0")))
    assert make_subsets(Split(train, cases("val", 1), cases("test", 3)), 0, None).have == 6


def test_subsets_are_read_as_they_were_written(tmp_path):
    subsets().write(tmp_path)
    assert read_subsets(tmp_path) == subsets()
    (tmp_path / "subsets.json").write_text("{")
    with pytest.raises(UserError, match=r"subsets\.json.*; start another curve"):
        read_subsets(tmp_path)


def test_new_patients_follow_the_others():
    before = subsets()
    present = (*cases("train", 14), *cases("val", 2), *cases("test", 4))
    reserved = (case("t", part="test"), case("again", "patient of test0"))
    after = with_new_cases(before, [*present, *reserved])
    assert after.have == 14
    assert (after.val, after.test) == (before.val, before.test)
    for repeat in range(3):
        assert after.training(12, repeat) == before.training(12, repeat)
        assert set(after.training(14, repeat)[12:]) == {"train12", "train13"}
    assert with_new_cases(after, present) == after


def test_a_missing_case_is_named():
    with pytest.raises(UserError, match=r"lacks 1 case\(s\) of this curve, first test3; restore them"):
        with_new_cases(subsets(), [*cases("train", 12), *cases("val", 2), *cases("test", 3)])


def test_sizes_by_default_are_halves_of_all():
    assert choose_sizes(None, subsets(train=24)) == [3, 6, 12, 24]
    assert choose_sizes(None, subsets(train=8)) == [2, 4, 8]
    assert choose_sizes([10, 5, 12, 5], subsets()) == [5, 10, 12]


@pytest.mark.parametrize(
    ("sizes", "message"),
    [
        ([5, 10, 10], r"sizes=\[5, 10\]: a curve needs 3 different numbers of training CTs"),
        ([5, 10, 20], r"there are 12 training CTs, beside 2 that validate and 4 that test; name numbers up to 12"),
    ],
)
def test_sizes_that_give_no_curve_are_refused(sizes, message):
    with pytest.raises(UserError, match=message):
        choose_sizes(sizes, subsets())


def test_few_cases_give_no_curve():
    with pytest.raises(UserError, match="4 training CTs: a curve needs 3 different numbers"):
        choose_sizes(None, subsets(train=4))


def test_few_test_patients_are_refused():
    with pytest.raises(UserError, match=r"2 patients would test; .*split.test=0.3"):
        subsets(test=2)
    shared = dataclasses.replace(Split(cases("a", 9), cases("b", 9), cases("c", 9)), shared=True)
    with pytest.raises(UserError, match="0 patients would test"):
        make_subsets(shared, 0, None)
