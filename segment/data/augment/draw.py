"""Random numbers from torch's global generator, and the ranges they are drawn from."""

import math
from collections.abc import Sequence

import torch

from segment.errors import UserError


def happens(p: float) -> bool:
    """True with probability p."""
    return float(torch.rand(())) < p


def uniform(low: float, high: float) -> float:
    """A number in low … high."""
    return low + (high - low) * float(torch.rand(()))


def log_uniform(low: float, high: float) -> float:
    """A factor in low … high, positive; between 1 / f and f it is as often below as above 1."""
    return float(low * (high / low) ** float(torch.rand(())))


def checked_range(name: str, values: Sequence[float], low: float = 0.0, high: float = math.inf) -> list[float]:
    """A range as two floats.

    Raises:
        UserError: When it is not two numbers in order, both in low … high; `name` is what the message calls it.
    """
    numbers = [float(value) for value in values]
    if len(numbers) != 2 or not low <= numbers[0] <= numbers[1] <= high:
        msg = f"{name} is {list(values)}; give two numbers, the lower one first, both from {low:g} to {high:g}"
        raise UserError(msg)
    return numbers
