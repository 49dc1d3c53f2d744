"""Convert the value of an option to the type of the option, and describe types in words."""

import math
import types
from collections.abc import Callable, Mapping, Sequence
from typing import Annotated, Any, Literal, Never, Union, get_args, get_origin, is_typeddict

# Hydra passes these words on as text, and non-empty text is true in Python.
BOOLEANS = {"true": True, "yes": True, "on": True, "false": False, "no": False, "off": False}
WORDS: dict[Any, str] = {
    bool: "true or false",
    int: "a whole number",
    float: "a number",
    str: "text",
    None: "null",
    type(None): "null",
    list: "a list",
    tuple: "a list",
    dict: "keys with values",
}
PLURALS: dict[Any, str] = {int: "whole numbers", float: "numbers", str: "words"}


class Mismatch(ValueError):  # noqa: N818  # the caller turns it into an error that names the option
    """A value does not have the required type."""


def coerce(value: Any, hint: Any, spelling: str | None = None) -> Any:  # noqa: ANN401
    """Convert a value to a type.

    If the type is bool, words like `yes` and `off` become booleans. If it is text, a number keeps its spelling:
    `output=1e3` names the folder `1e3`, not `1000.0`. Items of a list are converted, too; a dictionary is not changed.

    Args:
        value: A plain value of a configuration: text, a number, a boolean, None, a list or a dictionary.
        hint: A type annotation; `Any` accepts everything.
        spelling: The value as it was written on the command line; None if it was not.

    Raises:
        Mismatch: When the value has another type.
    """
    if hint is Any or (isinstance(value, dict) and ("_target_" in value or is_typeddict(hint))):
        return value
    if hint in FITS:
        return FITS[hint](value, spelling)
    origin = get_origin(hint)
    if origin is Annotated:
        base, *bounds = get_args(hint)
        converted = coerce(value, base, spelling)
        if not all(bound.holds(converted) for bound in bounds):
            raise Mismatch
        return converted
    if origin is Literal:
        return _chosen(value, get_args(hint))
    if origin in (Union, types.UnionType):
        return _member(value, get_args(hint), spelling)
    if origin in (list, tuple, Sequence):
        return _items(value, hint, spelling)
    if origin is dict:
        return _keys(value, spelling)
    raise Mismatch


def describe(hint: Any) -> str:  # noqa: ANN401
    """A type in words, for example `a whole number or null`."""
    origin = get_origin(hint)
    if origin is Annotated:
        base, *bounds = get_args(hint)
        return " ".join([describe(base), *map(str, bounds)])
    if origin is Literal:
        return " or ".join(str(choice) for choice in get_args(hint))
    if origin in (Union, types.UnionType):
        members = [member for member in get_args(hint) if member not in (Any, Never)]
        return " or ".join(dict.fromkeys(describe(member) for member in members))
    if origin is tuple:
        items = get_args(hint)
        kinds = dict.fromkeys(describe(item) for item in items)
        return f"a list of {len(items)}, each {' or '.join(kinds)}"
    if origin in (list, Sequence) and get_args(hint)[0] is not Any:
        item = get_args(hint)[0]
        return f"a list of {PLURALS[item]}" if item in PLURALS else f"a list, each item {describe(item)}"
    return WORDS.get(origin or hint, "another value")


def _member(value: Any, members: tuple[Any, ...], spelling: str | None) -> Any:  # noqa: ANN401
    """Convert a value to the first matching member of a union; text is tried last."""
    for member in sorted(members, key=lambda member: (member is str, member is Any)):
        if member is str and Any in members:
            return value
        try:
            return coerce(value, member, spelling)
        except Mismatch:
            continue
    raise Mismatch


def _chosen(value: Any, choices: tuple[Any, ...]) -> Any:  # noqa: ANN401
    """The choice of a `Literal` that equals the value."""
    for choice in choices:
        if value == choice and type(value) is type(choice):
            return choice
    raise Mismatch


def _items(value: Any, hint: Any, spelling: str | None) -> list[Any]:  # noqa: ANN401
    if not isinstance(value, list | tuple):
        raise Mismatch
    members = get_args(hint)
    hints = list(members) if get_origin(hint) is tuple else [members[0]] * len(value)
    if len(hints) != len(value):
        raise Mismatch
    spellings = _item_spellings(spelling, len(value))
    return [coerce(*item) for item in zip(value, hints, spellings, strict=True)]


def _item_spellings(spelling: str | None, count: int) -> list[str | None]:
    """The items of a list as they were written; None for all if the list is nested or was not written out."""
    inner = (spelling or "").strip().removeprefix("[").removesuffix("]").split(",")
    return [item.strip() for item in inner] if len(inner) == count else [None] * count


def _boolean(value: Any, spelling: str | None) -> bool:  # noqa: ANN401
    if isinstance(value, bool):
        return value
    if isinstance(value, str) and value.lower() in BOOLEANS:
        return BOOLEANS[value.lower()]
    raise Mismatch


def _whole(value: Any, spelling: str | None) -> int:  # noqa: ANN401
    if type(value) is int:
        return value
    raise Mismatch


def _number(value: Any, spelling: str | None) -> float:  # noqa: ANN401
    if type(value) in (int, float) and not math.isnan(value):
        return value  # type: ignore[no-any-return]
    raise Mismatch


def _text(value: Any, spelling: str | None) -> str:  # noqa: ANN401
    if isinstance(value, str):
        return value
    if isinstance(value, bool | int | float):
        return spelling or str(value)
    raise Mismatch


def _null(value: Any, spelling: str | None) -> None:  # noqa: ANN401
    if value is not None:
        raise Mismatch


def _list(value: Any, spelling: str | None) -> list[Any]:  # noqa: ANN401
    return _items(value, list[Any], spelling)


def _keys(value: Any, spelling: str | None) -> Mapping[Any, Any]:  # noqa: ANN401
    if isinstance(value, dict):
        return value
    raise Mismatch


def _never(value: Any, spelling: str | None) -> None:  # noqa: ANN401
    raise Mismatch


FITS: dict[Any, Callable[[Any, str | None], Any]] = {
    bool: _boolean,
    int: _whole,
    float: _number,
    str: _text,
    None: _null,
    type(None): _null,
    list: _list,
    tuple: _list,
    dict: _keys,
    Never: _never,
}
