"""Constraints on values, which annotations state: `Annotated[int, Range(1, 8)]`."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise


@dataclass(frozen=True)
class Range:
    """Bounds of a number, for example `Annotated[int, Range(1, 8)]`; both bounds are allowed by default.

    Attributes:
        low: The lowest value.
        high: The highest value.
        excluded: Bounds that are not allowed themselves.
    """

    low: float
    high: float = math.inf
    excluded: tuple[float, ...] = ()

    def holds(self, value: float) -> bool:
        """Whether the value is in the range; NaN never is."""
        return self.low <= value <= self.high and value not in self.excluded

    def __str__(self) -> str:
        if self.high == math.inf:
            return f"above {self.low:g}" if self.excluded else f"of at least {self.low:g}"
        if len(self.excluded) == 2:
            return f"between {self.low:g} and {self.high:g}"
        but = f", but not {self.excluded[0]:g}" if self.excluded else ""
        return f"from {self.low:g} to {self.high:.10g}{but}"


class NotEmpty:
    """Text that is not empty, for a name or a path: `Annotated[str, NotEmpty()]`."""

    def holds(self, value: str) -> bool:
        """Whether the text has a character that is not whitespace."""
        return bool(value.strip())

    def __str__(self) -> str:
        return "that is not empty"


@dataclass(frozen=True)
class Rising:
    """Numbers in rising order: `Annotated[tuple[float, float], Rising()]`.

    Attributes:
        strictly: Whether neighbours must differ.
    """

    strictly: bool = False

    def holds(self, values: Sequence[float]) -> bool:
        """Whether the numbers are in rising order."""
        return all(low < high or (low == high and not self.strictly) for low, high in pairwise(values))

    def __str__(self) -> str:
        return "in rising order"
