from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest

from segment.errors import UserError
from segment.values import check_seed, check_values


class Thing:
    def __init__(
        self,
        count: int = 1,
        share: float = 0.5,
        size: Sequence[int] | int | None = None,
        shuffle: bool = True,
        tolerance: Mapping[str, float] | None = None,
        name: str = "",
        path: str | Path = "",
        anything=None,
    ):
        pass


def thing(**values):
    return {"model": {"parts": [{"_target_": f"{__name__}.Thing", **values}]}}


@pytest.mark.parametrize(
    "values",
    [
        {"count": 3, "share": 1, "size": [1, 2], "shuffle": False, "tolerance": {"liver": 5}, "name": "x"},
        {"share": 1.5, "size": 4, "tolerance": None, "name": 2026, "path": 3, "anything": "abc"},
        {"size": None, "unknown": "abc"},
        {"count": {"_target_": "builtins.int"}},
        {},
    ],
)
def test_values_that_fit_pass(values):
    check_values(thing(**values))


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"count": "abc"}, r"model\.parts\[0\]\.count must be a whole number, got 'abc'"),
        ({"count": 2.5}, "count must be a whole number, got 2.5"),
        ({"count": None}, "count must be a whole number, got None"),
        ({"count": True}, "count must be a whole number, got True"),
        ({"share": "1e-3x"}, "share must be a number"),
        ({"size": "64"}, "size must be a list or a whole number or null, got '64'"),
        ({"shuffle": "no"}, "shuffle must be true or false, got 'no'"),
        ({"shuffle": 1}, "shuffle must be true or false, got 1"),
        ({"tolerance": 5}, "tolerance must be keys with values or null, got 5"),
        ({"name": ["x"]}, "name must be a word"),
    ],
)
def test_values_of_another_kind_are_refused(values, message):
    with pytest.raises(UserError, match=message):
        check_values(thing(**values))


def test_targets_that_do_not_exist_are_left_to_those_who_build_them():
    check_values({"_target_": "segment.nothing.Nothing", "count": "abc"})


@pytest.mark.parametrize("seed", ["abc", -1, 2**32, 1.5, True, None])
def test_seeds_that_no_generator_takes_are_refused(seed):
    with pytest.raises(UserError, match="seed must be a whole number from 0 to 4294967295, got"):
        check_seed(seed)


def test_seeds_at_the_ends_pass():
    check_seed(0)
    check_seed(2**32 - 1)
