"""Memory of this process and of the processes that draw its patches, in bytes."""

import multiprocessing
import os

import psutil
import torch

from segment.memory import limit

# Kept free beside what is foreseen from shapes: kernels, allocators and threads take memory of their own, in small
# training steps 0.1 to 0.2 GB.
RESERVE = 250_000_000


def workers() -> int:
    """What the loader's workers hold now beside the pages that they share with this process."""
    total = 0
    for child in multiprocessing.active_children():
        try:
            total += psutil.Process(child.pid).memory_full_info().uss
        except psutil.NoSuchProcess:  # it has ended meanwhile
            continue
    return total


def available() -> int:
    """What this process could hold in all, as long as others hold what they do now and its job keeps to its limits."""
    held = psutil.Process().memory_info().rss
    return int(held + _left(held))


def free(device: torch.device) -> int:
    """What can still be taken there, less `RESERVE`: of a GPU, or of the machine as `available` counts it."""
    if device.type == "cuda":
        unused = torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)  # PyTorch keeps it for later
        left = float(torch.cuda.mem_get_info(device)[0] + unused)
    else:
        left = _left(psutil.Process().memory_info().rss)
    return max(0, int(left) - RESERVE)


def _left(held: int) -> float:
    """What the machine, and the limits of its job, leave to this process, which holds so much; below 0 beyond them."""
    limits = limit.free_in_groups(), limit.slurm_limit(os.environ) - held
    return min(float(psutil.virtual_memory().available), *limits)


def gpu_peak(device: torch.device) -> int | None:
    """The most that lay on the GPU since its statistics were reset; None without one."""
    return torch.cuda.max_memory_allocated(device) if device.type == "cuda" else None
