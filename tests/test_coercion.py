import math
from typing import Annotated, Any, Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from segment.coercion import Mismatch, coerce, describe
from segment.constraints import Range

Share = Annotated[float, Range(0, 1)]
PLAIN = st.none() | st.booleans() | st.integers() | st.floats() | st.text()


@pytest.mark.parametrize(
    ("value", "hint", "result"),
    [
        ("no", bool, False),
        ("Off", bool, False),
        ("yes", bool, True),
        ("on", bool, True),
        (False, bool, False),
        (3, int, 3),
        (3, float, 3),
        (1e-3, float, 1e-3),
        ("a", str, "a"),
        (None, str | None, None),
        ("no", bool | str, False),
        ("outputs/x", bool | str, "outputs/x"),
        ("off", bool | Literal["only"], False),
        ("only", bool | Literal["only"], "only"),
        ([1, 2], list[int], [1, 2]),
        (["no", True], list[bool], [False, True]),
        ([3, 3.5, 4], tuple[float, float, float], [3, 3.5, 4]),
        (0.5, Share, 0.5),
        ({"liver": 3}, dict[str, float], {"liver": 3}),
        ({"_target_": "a.b"}, int, {"_target_": "a.b"}),
        ("anything", Any, "anything"),
        ("anything", str | Any, "anything"),
        ("warn", bool | Any | None, "warn"),
    ],
)
def test_matching_values_are_converted(value, hint, result):
    new = coerce(value, hint)
    assert new == result
    assert type(new) is type(result)


@pytest.mark.parametrize(
    ("value", "hint"),
    [
        ("nope", bool),
        (1, bool),
        (None, bool),
        ("3", int),
        (3.0, int),
        (True, int),
        (True, float),
        ("fast", float),
        (math.nan, float),
        (["a"], str),
        (None, str),
        (64, list[int]),
        ([64, "a", 64], list[int]),
        ([3, 3], tuple[float, float, float]),
        (1.5, Share),
        (math.nan, Share),
        ("max.", Literal["max", "min"]),
        (True, Literal[1]),
        (5, dict[str, float]),
    ],
)
def test_values_of_another_type_are_refused(value, hint):
    with pytest.raises(Mismatch):
        coerce(value, hint)


def test_bounds_are_part_of_a_range_unless_they_are_excluded():
    assert Range(0, 1).holds(0)
    assert not Range(0, 1, excluded=(0,)).holds(0)
    assert not Range(0).holds(-1)
    assert Range(0).holds(10**9)


@pytest.mark.parametrize(
    ("value", "hint", "spelling", "result"),
    [
        (1000.0, str, "1e3", "1e3"),
        (7, str, "007", "007"),
        (True, str, "True", "True"),
        ("no", str, "no", "no"),
        ([1000.0, "b"], list[str], "[1e3,b]", ["1e3", "b"]),
        ([7, 8], str | list[str], "[007, 008]", ["007", "008"]),
        (1000.0, str, None, "1000.0"),
        (1000.0, float, "1e3", 1000.0),
    ],
)
def test_text_keeps_its_spelling(value, hint, spelling, result):
    assert coerce(value, hint, spelling) == result


@given(PLAIN)
def test_converting_twice_changes_nothing(value):
    for hint in (bool, int, float, str, bool | str, float | None, Share, Literal["a", "no"]):
        try:
            once = coerce(value, hint)
        except Mismatch:
            continue
        assert coerce(once, hint) == once


@pytest.mark.parametrize(
    ("hint", "words"),
    [
        (bool, "true or false"),
        (int | None, "a whole number or null"),
        (bool | Literal["only"], "true or false or only"),
        (list[int], "a list of whole numbers"),
        (tuple[float, float], "a list of 2, each a number"),
        (Annotated[int, Range(0, 2**32 - 1)], "a whole number from 0 to 4294967295"),
        (Annotated[float, Range(0, excluded=(0,))], "a number above 0"),
        (Annotated[int, Range(1)] | None, "a whole number of at least 1 or null"),
        (float | Any, "a number"),
        (dict[str, Any], "keys with values"),
    ],
)
def test_types_are_described_in_words(hint, words):
    assert describe(hint) == words
