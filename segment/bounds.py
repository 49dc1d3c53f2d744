"""Annotated types for constructor parameters, with the range of allowed values.

A constructor states a range once, in the annotation of the parameter: `p: Share`. `in_range` checks arguments in Python
against it. Options of the command line are checked against the source of the annotation, without importing it, so use
the names below: a constructor's own `Annotated[float, Range(0, 2)]` would not be read.
"""

import functools
import inspect
from collections.abc import Callable, Sequence
from typing import Annotated, Any, Literal, ParamSpec, get_args, get_origin

from segment.coercion import Mismatch, coerce, describe
from segment.constraints import Range, Rising
from segment.errors import UserError

Seed = Annotated[int, Range(0, 2**32 - 1)]
NonNegativeInt = Annotated[int, Range(0)]
PositiveInt = Annotated[int, Range(1)]
# Processes. No machine needs more than 512; a higher number is a typing error.
Workers = Annotated[int, Range(0, 512)]
NonNegativeFloat = Annotated[float, Range(0)]
PositiveFloat = Annotated[float, Range(0, excluded=(0,))]
Share = Annotated[float, Range(0, 1)]  # both 0 and 1 are allowed
ShareBelowOne = Annotated[float, Range(0, 1, excluded=(1,))]
ShareAboveZero = Annotated[float, Range(0, 1, excluded=(0,))]
OpenShare = Annotated[float, Range(0, 1, excluded=(0, 1))]  # neither 0 nor 1
Voxels = tuple[PositiveInt, PositiveInt, PositiveInt]  # along I, J, K
Spacing = tuple[PositiveFloat, PositiveFloat, PositiveFloat]
Window = Annotated[tuple[float, float], Rising(strictly=True)]
# Intervals that augmentation samples from.
Amounts = Annotated[tuple[NonNegativeFloat, NonNegativeFloat], Rising()]
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
