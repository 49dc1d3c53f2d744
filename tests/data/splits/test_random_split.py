import json
from collections import Counter
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from test_split import TWENTY, make

from segment.data.splits.deal import Patient, deal_folds, deal_parts
from segment.data.splits.random_split import RandomSplit
from segment.datasets.cases import PARTS
from segment.errors import UserError

ODD = {case.id: [1] if int(case.id[-2:]) % 2 else [1, 2] for case in TWENTY}


def folds_of(cases, organs=None, **options):
    options = {"val": 0.15, "test": 0.2, "seed": 3, "folds": 5} | options
    splits = [RandomSplit(**options, fold=fold) for fold in range(options["folds"])]
    return [split(cases, None if organs is None else lambda _: organs) for split in splits]


def test_every_fold_tests_the_same_patients_and_the_others_take_turns_in_validating():
    folds = folds_of(TWENTY)
    without = RandomSplit(0.15, 0.2, 3)(TWENTY).ids()
    assert [fold.ids()["test"] for fold in folds] == [without["test"]] * 5
    validated = [name for fold in folds for name in fold.ids()["val"]]
    assert sorted([*validated, *without["test"]]) == [case.id for case in TWENTY]
    assert {len(fold.val) for fold in folds} == {3, 4}


def test_without_a_test_share_every_case_is_tested_once_by_a_network_that_has_not_seen_it():
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
def test_folds_are_balanced_whole_and_free_of_order(patients, folds, seed, data):
    fold_of = deal_folds(patients, folds, seed, {})
    assert fold_of.keys() == {p.name for p in patients}
    for source in {p.source for p in patients}:
        sizes = Counter(fold_of[p.name] for p in patients if p.source == source)
        assert max(sizes.values()) - min(sizes[f] for f in range(folds)) <= 1
    for kind in {(p.source, p.group, p.classes) for p in patients}:
        of_kind = Counter(fold_of[p.name] for p in patients if (p.source, p.group, p.classes) == kind)
        assert max(of_kind.values()) - min(of_kind[f] for f in range(folds)) <= 1
    assert deal_folds(data.draw(st.permutations(patients)), folds, seed, {}) == fold_of


@given(patients, st.integers(0, 99), st.data())
def test_who_has_a_place_keeps_it_when_others_come(patients, seed, data):
    first = patients[: data.draw(st.integers(0, len(patients)))]
    parts = deal_parts(first, {"val": 0.2, "test": 0.3}, "train", seed, {})
    assert parts.items() <= deal_parts(patients, {"val": 0.2, "test": 0.3}, "train", seed, parts).items()
    folds = deal_folds(first, 4, seed, {})
    assert folds.items() <= deal_folds(patients, 4, seed, folds).items()


@pytest.mark.parametrize("fold", [None, 2])
def test_a_frozen_split_takes_new_cases_in_without_moving_old_ones(tmp_path, fold):
    split = RandomSplit(0.15, 0.2, 3, fold=fold, frozen=tmp_path / "frozen" / "set.json")
    before = split(TWENTY[:10]).ids()
    assert split(TWENTY[:10]).ids() == before
    after = split(TWENTY).ids()
    assert all(set(before[part]) <= set(after[part]) for part in PARTS)
    assert len(after["test"]) == 4
    fewer = split(TWENTY[:10]).ids()
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
        RandomSplit(0.15, 0.2, 3, fold=0, frozen=path)(TWENTY)
    path.write_text(json.dumps({"train": []}))
    with pytest.raises(UserError, match="is not a frozen split"):
        RandomSplit(0.15, 0.2, 3, frozen=path)(TWENTY)


@pytest.mark.parametrize(("fold", "folds"), [(5, 5), (-1, 5), (3, 3)])
def test_a_fold_that_is_not_there(fold, folds):
    with pytest.raises(UserError, match=rf"split\.fold={fold}: there are folds 0 to {folds - 1}"):
        RandomSplit(0.15, 0.2, 0, folds=folds, fold=fold)


@pytest.mark.parametrize(("folds", "test", "least"), [(1, 0.2, 2), (2, 0.0, 3)])
def test_too_few_folds(folds, test, least):
    with pytest.raises(UserError, match=rf"split\.folds={folds} leaves nothing to train on; take {least} or more"):
        RandomSplit(0.15, test, 0, folds=folds)
