import json
from collections import Counter
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from test_split import TWENTY, make

from segment.data.splits.assign import Patient, assign_folds, assign_parts
from segment.data.splits.random_split import RandomSplit
from segment.datasets.cases import PARTS
from segment.errors import UserError

ODD = {case.id: [1] if int(case.id[-2:]) % 2 else [1, 2] for case in TWENTY}


def no_organs(cases):
    """Organs of no case, so that folds are not balanced by them."""
    return {}


def folds_of(cases, organs=None, **options):
    options = {"val": 0.15, "test": 0.2, "seed": 3, "folds": 5} | options
    splits = [RandomSplit(**options, fold=fold) for fold in range(options["folds"])]
    return [split(cases, no_organs if organs is None else lambda _: organs) for split in splits]


def test_folds_have_the_same_test_patients_and_the_others_validate_once():
    folds = folds_of(TWENTY)
    without = RandomSplit(0.15, 0.2, 3)(TWENTY).ids()
    assert [fold.ids()["test"] for fold in folds] == [without["test"]] * 5
    validated = [name for fold in folds for name in fold.ids()["val"]]
    assert sorted([*validated, *without["test"]]) == [case.id for case in TWENTY]
    assert {len(fold.val) for fold in folds} == {3, 4}


@pytest.mark.parametrize("options", [{"val": 0.15}, {"val": 0.3}, {"val": 0.15, "fold": 2}])
@pytest.mark.parametrize("test", [0.0, 0.2])
@pytest.mark.parametrize("is_frozen", [False, True])
def test_the_test_patients_are_known_before_the_share_of_validation(tmp_path, options, test, is_frozen):
    cases = [replace(case, part="test" if case.id == "set/c03" else "") for case in TWENTY]
    frozen = tmp_path / "set.json" if is_frozen else None
    if is_frozen:
        RandomSplit(0.25, test, 3, frozen=frozen)(cases[:15])
        written = frozen.read_bytes()
    tests = RandomSplit(**options, test=test, seed=3, frozen=frozen).test_patients(cases)
    if is_frozen:
        assert frozen.read_bytes() == written
        options = {"val": 0.25}
    elif "fold" in options and not test:
        options = {"val": 0.15}  # a fold tests then, too
    split = RandomSplit(**options, test=test, seed=3, frozen=frozen)(cases, no_organs)
    assert tests == {case.patient for case in split.test}
    assert len(tests) == (4 if test else 1)


def test_without_a_test_share_every_case_is_tested_once_and_not_trained_on():
    folds = [fold.ids() for fold in folds_of(TWENTY, test=0.0)]
    assert sorted(name for fold in folds for name in fold["test"]) == [case.id for case in TWENTY]
    assert sorted(name for fold in folds for name in fold["val"]) == [case.id for case in TWENTY]
    for fold in folds:
        assert sorted(name for part in fold.values() for name in part) == [case.id for case in TWENTY]


def test_folds_have_equal_shares_of_organs_groups_and_sources():
    cases = [replace(case, group="ab"[index // 10]) for index, case in enumerate(TWENTY)]
    cases += make(*(f"d{i}" for i in range(10)), source="other")
    for fold in folds_of(cases, ODD | {case.id: [1] for case in cases[20:]}, test=0.0):
        assert Counter(case.group for case in fold.test if case.id.startswith("set")) == {"a": 2, "b": 2}
        assert sum(2 in ODD.get(case.id, []) for case in fold.test) == 2
        assert sum(case.id.startswith("other") for case in fold.test) == 2


def test_shares_are_spread_over_groups():
    cases = [replace(case, group="abcd"[index % 4]) for index, case in enumerate(TWENTY)]
    split = RandomSplit(val=0.2, test=0.2, seed=1)(cases)
    for part in ("val", "test"):
        assert Counter(case.group for case in getattr(split, part)) == {"a": 1, "b": 1, "c": 1, "d": 1}


patients = st.lists(
    st.builds(
        Patient,
        st.integers(0, 40).map(lambda n: f"{'xy'[n % 2]}/{n}"),
        st.sampled_from("ab"),
        st.frozensets(st.integers(1, 3)),
    ),
    min_size=1,
    max_size=40,
    unique_by=lambda p: p.name,
)


@given(patients, st.integers(2, 6), st.integers(0, 99), st.data())
def test_folds_are_complete_balanced_and_independent_of_order(patients, folds, seed, data):
    fold_of = assign_folds(patients, folds, seed, {})
    assert fold_of.keys() == {p.name for p in patients}
    for source in {p.source for p in patients}:
        sizes = Counter(fold_of[p.name] for p in patients if p.source == source)
        assert max(sizes.values()) - min(sizes[f] for f in range(folds)) <= 1
    for kind in {(p.source, p.group, p.classes) for p in patients}:
        of_kind = Counter(fold_of[p.name] for p in patients if (p.source, p.group, p.classes) == kind)
        assert max(of_kind.values()) - min(of_kind[f] for f in range(folds)) <= 1
    assert assign_folds(data.draw(st.permutations(patients)), folds, seed, {}) == fold_of


@given(patients, st.integers(0, 99), st.data())
def test_assigned_patients_keep_their_part_when_others_are_added(patients, seed, data):
    first = patients[: data.draw(st.integers(0, len(patients)))]
    parts = assign_parts(first, {"val": 0.2, "test": 0.3}, "train", seed, {})
    assert parts.items() <= assign_parts(patients, {"val": 0.2, "test": 0.3}, "train", seed, parts).items()
    folds = assign_folds(first, 4, seed, {})
    assert folds.items() <= assign_folds(patients, 4, seed, folds).items()


@pytest.mark.parametrize("fold", [None, 2])
def test_a_frozen_split_assigns_new_cases_without_moving_old_ones(tmp_path, fold):
    split = RandomSplit(0.15, 0.2, 3, fold=fold, frozen=tmp_path / "frozen" / "set.json")
    before = split(TWENTY[:10], no_organs).ids()
    assert split(TWENTY[:10], no_organs).ids() == before
    after = split(TWENTY, no_organs).ids()
    assert all(set(before[part]) <= set(after[part]) for part in PARTS)
    assert len(after["test"]) == 4
    fewer = split(TWENTY[:10], no_organs).ids()
    assert fewer == before


def test_experiments_with_other_organs_share_folds_through_a_frozen_split(tmp_path):
    def organs_of(shown):
        return lambda cases: {case.id: shown(case) for case in cases}

    odd, all_alike = organs_of(lambda case: ODD[case.id]), organs_of(lambda _: [1])
    alone = RandomSplit(0.15, 0.2, 3, fold=0)
    assert alone(TWENTY, odd).ids() != alone(TWENTY, all_alike).ids()
    frozen = RandomSplit(0.15, 0.2, 3, fold=0, frozen=tmp_path / "set.json")
    first = frozen(TWENTY, odd).ids()
    assert first == alone(TWENTY, odd).ids()
    assert frozen(TWENTY, all_alike).ids() == first


def test_a_frozen_split_of_other_settings_is_refused(tmp_path):
    path = tmp_path / "set.json"
    RandomSplit(0.15, 0.2, 3, frozen=path)(TWENTY)
    with pytest.raises(UserError, match=r"frozen=.*set\.json was written for .*'seed': 3.*, not for .*'seed': 4"):
        RandomSplit(0.15, 0.2, 4, frozen=path)(TWENTY)
    with pytest.raises(UserError, match=r"'folds': None.*'folds': 5"):
        RandomSplit(0.15, 0.2, 3, fold=0, frozen=path)(TWENTY, no_organs)
    path.write_text(json.dumps({"train": []}))
    with pytest.raises(UserError, match="is not a frozen split"):
        RandomSplit(0.15, 0.2, 3, frozen=path)(TWENTY)


@pytest.mark.parametrize(("fold", "folds"), [(5, 5), (3, 3)])
def test_a_fold_out_of_range_is_refused(fold, folds):
    with pytest.raises(UserError, match=rf"split\.fold={fold}: there are folds 0 to {folds - 1}"):
        RandomSplit(0.15, 0.2, 0, folds=folds, fold=fold)


@pytest.mark.parametrize(("folds", "test", "least"), [(1, 0.2, 2), (2, 0.0, 3)])
def test_too_few_folds_are_refused(folds, test, least):
    with pytest.raises(UserError, match=rf"split\.folds={folds} leaves nothing to train on; take {least} or more"):
        RandomSplit(0.15, test, 0, folds=folds)


def test_a_negative_fold_is_refused():
    with pytest.raises(UserError, match="fold must be a whole number of at least 0 or null, got -1"):
        RandomSplit(0.15, 0.2, 0, fold=-1)


def test_a_fold_is_only_chosen_where_labels_are_read():
    """Without the organs of the cases, the folds would not be those of the training."""
    with pytest.raises(UserError, match=r"split\.fold=0 needs the labels, .*split=file split\.path="):
        RandomSplit(0.15, 0.2, 0, fold=0)(TWENTY)
