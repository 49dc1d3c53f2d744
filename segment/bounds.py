"""Types of parameters that say which values are in range.

A constructor states a range once, in its annotation: options are checked against it as its source shows it, and
arguments, from Python too, by `in_range`. Annotations use these names, for the source is read without what it imports.
"""

import functools
import inspect
from collections.abc import Callable, Sequence
from typing import Annotated, Any, Literal, ParamSpec, get_args, get_origin

from segment.errors import UserError
from segment.kind import Misfit, Range, Rising, described, fitted

Seed = Annotated[int, Range(0, 2**32 - 1)]
Whole = Annotated[int, Range(0)]
Count = Annotated[int, Range(1)]
# Processes; 512 are more than any machine feeds a network with, and a slip of the finger asks for thousands.
Workers = Annotated[int, Range(0, 512)]
NotNegative = Annotated[float, Range(0)]
Positive = Annotated[float, Range(0, excluded=(0,))]
Share = Annotated[float, Range(0, 1)]
ShareBelowOne = Annotated[float, Range(0, 1, excluded=(1,))]
ShareAboveZero = Annotated[float, Range(0, 1, excluded=(0,))]
RealShare = Annotated[float, Range(0, 1, excluded=(0, 1))]
Voxels = tuple[Count, Count, Count]  # along I, J, K
Spacing = tuple[Positive, Positive, Positive]
Window = Annotated[tuple[float, float], Rising(strictly=True)]
# What augmentation draws from.
Amounts = Annotated[tuple[NotNegative, NotNegative], Rising()]
Factors = Annotated[tuple[Annotated[float, Range(0.01)], Annotated[float, Range(0.01)]], Rising()]
Shares = Annotated[tuple[Annotated[float, Range(0.01, 1)], Annotated[float, Range(0.01, 1)]], Rising()]

NAMES: dict[str, Any] = {name: hint for name, hint in list(globals().items()) if name[0].isupper() and get_args(hint)}

P = ParamSpec("P")


def in_range(constructor: Callable[P, None]) -> Callable[P, None]:
    """Let a constructor refuse arguments that are out of the range that its annotations state.

    Raises:
        UserError: By the constructor, with the argument and what it can be.
    """
    takes = inspect.signature(constructor)
    hints = {name: hint for name, hint in constructor.__annotations__.items() if is_bounded(hint)}

    @functools.wraps(constructor)
    def checked(*args: P.args, **kwargs: P.kwargs) -> None:
        given = takes.bind(*args, **kwargs).arguments
        for name in filter(given.__contains__, hints):
            try:
                fitted(_plain(given[name]), hints[name])
            except Misfit as error:
                msg = f"{name} must be {described(hints[name])}, got {given[name]}"
                raise UserError(msg) from error
        constructor(*args, **kwargs)

    return checked


def is_bounded(hint: Any) -> bool:  # noqa: ANN401
    """Whether a type excludes values that are of its kind."""
    return get_origin(hint) in (Annotated, Literal) or any(map(is_bounded, get_args(hint)))


def _plain(value: Any) -> Any:  # noqa: ANN401
    """NumPy's numbers, and sequences of any type, as Python's own."""
    if hasattr(value, "tolist"):
        return value.tolist()
    return list(value) if isinstance(value, Sequence) and not isinstance(value, str) else value
