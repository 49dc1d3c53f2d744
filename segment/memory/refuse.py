"""Refuse what does not fit into memory, before it is taken: the system kills a process that takes too much."""

import torch

from segment.errors import UserError
from segment.memory import measure

CPU = torch.device("cpu")


def check_memory(needed: float, what: str, remedy: str, device: torch.device = CPU) -> None:
    """Refuse to take more memory than is free, less a reserve (`measure.free`).

    Args:
        needed: Bytes that will be taken.
        what: What takes them, with its size; the start of the sentence.
        remedy: What to change.
        device: Where they will be taken.

    Raises:
        UserError: With both amounts, when fewer are free.
    """
    free = measure.free(device)
    if needed > free:
        msg = f"{what} needs {shortage(needed, free, device)}; {remedy}"
        raise UserError(msg)


def shortage(needed: float, free: float, device: torch.device = CPU) -> str:
    """How much is needed, and how much there is."""
    where = "" if device.type == "cpu" else " on the GPU"
    return f"{needed / 1e9:.3g} GB of memory{where}, and {free / 1e9:.3g} GB are free"
