"""Random numbers from torch's global generator."""

import torch


def happens(p: float) -> bool:
    """True with probability p."""
    return float(torch.rand(())) < p


def uniform(low: float, high: float) -> float:
    """A number in low … high."""
    return low + (high - low) * float(torch.rand(()))


def log_uniform(low: float, high: float) -> float:
    """A factor in low … high, positive; between 1 / f and f it is as often below as above 1."""
    return float(low * (high / low) ** float(torch.rand(())))
