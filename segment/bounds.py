"""Annotated types for constructor parameters, with the range of allowed values.

A constructor states a range once, in the annotation of the parameter: `p: Share`. Options of the command line are
checked against the annotation as it is written in the source, and arguments in Python by `in_range`. Use only the names
below in annotations, because the source is read without importing it.
"""

import functools
import inspect
from collections.abc import Callable, Sequence
from typing import Annotated, Any, Literal, ParamSpec, get_args, get_origin

from segment.errors import UserError
from segment.kind import Mismatch, Range, Rising, coerce, describe

Seed = Annotated[int, Range(0, 2**32 - 1)]
Whole = Annotated[int, Range(0)]
Count = Annotated[int, Range(1)]
# Processes. No machine needs more than 512; a higher number is a typing error.
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
# Intervals that augmentation samples from.
Amounts = Annotated[tuple[NotNegative, NotNegative], Rising()]
Factors = Annotated[tuple[Annotated[float, Range(0.01)], Annotated[float, Range(0.01)]], Rising()]
Shares = Annotated[tuple[Annotated[float, Range(0.01, 1)], Annotated[float, Range(0.01, 1)]], Rising()]

NAMES: dict[str, Any] = {name: hint for name, hint in list(globals().items()) if name[0].isupper() and get_args(hint)}

P = ParamSpec("P")


def in_range(constructor: Callable[P, None]) -> Callable[P, None]:
    """Decorate a constructor to refuse arguments outside the range of their annotation.

    Raises:
        UserError: From the constructor, with the argument and the allowed values.
    """
    signature = inspect.signature(constructor)
    hints = {name: hint for name, hint in constructor.__annotations__.items() if is_bounded(hint)}

    @functools.wraps(constructor)
    def checked(*args: P.args, **kwargs: P.kwargs) -> None:
        given = signature.bind(*args, **kwargs).arguments
        for name, hint in hints.items():
            if name not in given:
                continue
            try:
                coerce(_plain(given[name]), hint)
            except Mismatch as error:
                msg = f"{name} must be {describe(hint)}, got {given[name]}"
                raise UserError(msg) from error
        constructor(*args, **kwargs)

    return checked


def is_bounded(hint: Any) -> bool:  # noqa: ANN401
    """Whether a type excludes some values of its Python type, for example `Share` or a `Literal`."""
    return get_origin(hint) in (Annotated, Literal) or any(map(is_bounded, get_args(hint)))


def _plain(value: Any) -> Any:  # noqa: ANN401
    """Convert NumPy numbers and sequences of any type to Python numbers and lists."""
    if hasattr(value, "tolist"):
        return value.tolist()
    if isinstance(value, Sequence) and not isinstance(value, str):
        return [_plain(item) for item in value]
    return value
