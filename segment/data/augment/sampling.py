"""Random numbers from torch's global generator."""

import torch


def bernoulli(p: float) -> bool:
    """True with probability p."""
    return float(torch.rand(())) < p


def uniform(low: float, high: float) -> float:
    """A random number in low … high."""
    return low + (high - low) * float(torch.rand(()))


def log_uniform(low: float, high: float) -> float:
    """A random factor in low … high, uniform in its logarithm. Both bounds are positive.

    For example, between 1/2 and 2 it is below 1 as often as above.
    """
    return float(low * (high / low) ** float(torch.rand(())))
