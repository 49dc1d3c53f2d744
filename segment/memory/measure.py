"""Free and used memory in bytes, and the refusal of requests that do not fit."""

import multiprocessing
import os

import psutil
import torch

from segment.errors import UserError
from segment.memory import limit

CPU = torch.device("cpu")
# Kept free besides what we compute from shapes, for kernels, allocators and threads. Small training steps need 0.1 to
# 0.2 GB of it.
RESERVE = 250_000_000


def workers() -> int:
    """Memory of the loader's workers, without the pages that they share with this process."""
    total = 0
    for child in multiprocessing.active_children():
        try:
            total += psutil.Process(child.pid).memory_full_info().uss
        except psutil.NoSuchProcess:  # it has just ended
            continue
    return total


def available() -> int:
    """The most that this process could use in all: what it holds and what is free, within the limits of its job."""
    held = psutil.Process().memory_info().rss
    return int(held + _left(held))


def total() -> float:
    """Memory of the machine, within the limits of the job."""
    return min(float(psutil.virtual_memory().total), limit.most_in_groups(), limit.slurm_limit(os.environ))


def free(device: torch.device) -> int:
    """Free memory of the GPU, or of the machine within the limits of the job, less `RESERVE`; at least 0."""
    if device.type == "cuda":
        cached = torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)  # PyTorch will reuse it
        left = float(torch.cuda.mem_get_info(device)[0] + cached)
    else:
        left = _left(psutil.Process().memory_info().rss)
    return max(0, int(left) - RESERVE)


def _left(held: int) -> float:
    """Memory that the machine and the job's limits leave to this process, which holds `held`; negative beyond them."""
    limits = limit.free_in_groups(), limit.slurm_limit(os.environ) - held
    return min(float(psutil.virtual_memory().available), *limits)


def gpu_peak(device: torch.device) -> int | None:
    """Peak memory on the GPU since its statistics were reset; None on a CPU."""
    return torch.cuda.max_memory_allocated(device) if device.type == "cuda" else None


def check_memory(needed: float, what: str, remedy: str, device: torch.device = CPU) -> None:
    """Refuse to use more memory than `free` reports. Without this check, the system would kill the process.

    Args:
        needed: Bytes that will be used.
        what: What uses them, with its size; the start of the sentence.
        remedy: What the user can change.
        device: Where they will be used.

    Raises:
        UserError: With both amounts, when less is free.
    """
    left = free(device)
    if needed > left:
        msg = f"{what} needs {shortage(needed, left, device)}; {remedy}"
        raise UserError(msg)


def shortage(needed: float, left: float, device: torch.device = CPU) -> str:
    """Needed and free memory in words, for example `3.5 GB of memory, and 2 GB are free`."""
    where = "" if device.type == "cpu" else " on the GPU"
    return f"{needed / 1e9:.3g} GB of memory{where}, and {left / 1e9:.3g} GB are free"
