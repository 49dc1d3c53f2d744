"""Whether a value is of the type that an option has, and the value as that type."""

import math
import types
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Annotated, Any, Literal, Never, Union, get_args, get_origin, is_typeddict

# Hydra passes these words on as text, and as text each of them is true.
TRUTH = {"true": True, "yes": True, "on": True, "false": False, "no": False, "off": False}
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


@dataclass(frozen=True)
class Range:
    """Bounds of a number, for `Annotated[int, Range(1, 8)]`; the lowest and the highest value are allowed.

    Attributes:
        low: The lowest value.
        high: The highest one.
        excluded: Those of the two that are not allowed.
    """

    low: float
    high: float = math.inf
    excluded: tuple[float, ...] = ()

    def holds(self, value: float) -> bool:
        """Whether the value lies within; NaN never does."""
        return self.low <= value <= self.high and value not in self.excluded

    def __str__(self) -> str:
        if self.high == math.inf:
            return f"above {self.low:g}" if self.excluded else f"of at least {self.low:g}"
        if len(self.excluded) == 2:
            return f"between {self.low:g} and {self.high:g}"
        but = f", but not {self.excluded[0]:g}" if self.excluded else ""
        return f"from {self.low:g} to {self.high:.10g}{but}"


class NotEmpty:
    """For `Annotated[str, NotEmpty()]`: a name or path, which empty text is not."""

    def holds(self, value: str) -> bool:
        """Whether there is text."""
        return bool(value.strip())

    def __str__(self) -> str:
        return "that is not empty"


@dataclass(frozen=True)
class Rising:
    """For `Annotated[tuple[float, float], Rising()]`: numbers of which none is below the one before it.

    Attributes:
        strictly: Whether none may be equal to it, either.
    """

    strictly: bool = False

    def holds(self, values: Sequence[float]) -> bool:
        """Whether they rise."""
        return all(low < high or (low == high and not self.strictly) for low, high in pairwise(values))

    def __str__(self) -> str:
        return "in rising order"


class Misfit(ValueError):  # noqa: N818  # no error of the program: the caller names the option
    """A value is not of the type that is wanted."""


def fitted(value: Any, hint: Any, spelling: str | None = None) -> Any:  # noqa: ANN401
    """The value as its type.

    Words for true and false become booleans where the type is one. Where it is text, a number keeps the spelling that
    it was given: `output=1e3` names the folder `1e3`, not `1000.0`. The items of a list are fitted, too, those of a
    dictionary are not.

    Args:
        value: A plain value of a configuration: text, a number, a boolean, None, a list or a dictionary.
        hint: A type as annotations write it; `Any` takes everything.
        spelling: How the command line wrote the value, if it did.

    Raises:
        Misfit: When it is of another type.
    """
    if hint is Any or (isinstance(value, dict) and ("_target_" in value or is_typeddict(hint))):
        return value
    if hint in FITS:
        return FITS[hint](value, spelling)
    origin = get_origin(hint)
    if origin is Annotated:
        bounded = fitted(value, get_args(hint)[0], spelling)
        if not all(bound.holds(bounded) for bound in get_args(hint)[1:]):
            raise Misfit
        return bounded
    if origin is Literal:
        return _chosen(value, get_args(hint))
    if origin in (Union, types.UnionType):
        return _of_one(value, get_args(hint), spelling)
    if origin in (list, tuple, Sequence):
        return _items(value, hint, spelling)
    if origin is dict:
        return _keys(value, spelling)
    raise Misfit


def described(hint: Any) -> str:  # noqa: ANN401
    """The type in words, such as `a whole number or null`."""
    origin = get_origin(hint)
    if origin is Annotated:
        base, *bounds = get_args(hint)
        return " ".join([described(base), *map(str, bounds)])
    if origin is Literal:
        return " or ".join(str(choice) for choice in get_args(hint))
    if origin in (Union, types.UnionType):
        members = [member for member in get_args(hint) if member not in (Any, Never)]
        return " or ".join(dict.fromkeys(described(member) for member in members))
    if origin is tuple:
        return f"a list of {len(get_args(hint))}, each {' or '.join(dict.fromkeys(map(described, get_args(hint))))}"
    if origin in (list, Sequence) and get_args(hint)[0] is not Any:
        item = get_args(hint)[0]
        return f"a list of {PLURALS[item]}" if item in PLURALS else f"a list, each item {described(item)}"
    return WORDS.get(origin or hint, "another value")


def _of_one(value: Any, members: tuple[Any, ...], spelling: str | None) -> Any:  # noqa: ANN401
    """The value as the first of several types that it fits; a number becomes text only if nothing else fits."""
    for member in sorted(members, key=lambda member: (member is str, member is Any)):
        if member is str and Any in members:
            return value
        try:
            return fitted(value, member, spelling)
        except Misfit:
            continue
    raise Misfit


def _chosen(value: Any, choices: tuple[Any, ...]) -> Any:  # noqa: ANN401
    for choice in choices:
        if value == choice and type(value) is type(choice):
            return choice
    raise Misfit


def _items(value: Any, hint: Any, spelling: str | None) -> list[Any]:  # noqa: ANN401
    if not isinstance(value, list | tuple):
        raise Misfit
    members = get_args(hint)
    hints = list(members) if get_origin(hint) is tuple else [members[0]] * len(value)
    if len(hints) != len(value):
        raise Misfit
    written = _elements(spelling, len(value))
    return [fitted(*item) for item in zip(value, hints, written, strict=True)]


def _elements(spelling: str | None, count: int) -> list[str | None]:
    """How the items of a list were written; unknown unless they are plain."""
    inner = (spelling or "").strip().removeprefix("[").removesuffix("]").split(",")
    return [item.strip() for item in inner] if len(inner) == count else [None] * count


def _boolean(value: Any, spelling: str | None) -> bool:  # noqa: ANN401
    if isinstance(value, bool):
        return value
    if isinstance(value, str) and value.lower() in TRUTH:
        return TRUTH[value.lower()]
    raise Misfit


def _whole(value: Any, spelling: str | None) -> int:  # noqa: ANN401
    if type(value) is int:
        return value
    raise Misfit


def _number(value: Any, spelling: str | None) -> float:  # noqa: ANN401
    if type(value) in (int, float) and not math.isnan(value):
        return value  # type: ignore[no-any-return]
    raise Misfit


def _text(value: Any, spelling: str | None) -> str:  # noqa: ANN401
    if isinstance(value, str):
        return value
    if isinstance(value, bool | int | float):
        return spelling or str(value)
    raise Misfit


def _nothing(value: Any, spelling: str | None) -> None:  # noqa: ANN401
    if value is not None:
        raise Misfit


def _list(value: Any, spelling: str | None) -> list[Any]:  # noqa: ANN401
    return _items(value, list[Any], spelling)


def _keys(value: Any, spelling: str | None) -> Mapping[Any, Any]:  # noqa: ANN401
    if isinstance(value, dict):
        return value
    raise Misfit


def _none_fits(value: Any, spelling: str | None) -> None:  # noqa: ANN401
    raise Misfit


FITS: dict[Any, Callable[[Any, str | None], Any]] = {
    bool: _boolean,
    int: _whole,
    float: _number,
    str: _text,
    None: _nothing,
    type(None): _nothing,
    list: _list,
    tuple: _list,
    dict: _keys,
    Never: _none_fits,
}
