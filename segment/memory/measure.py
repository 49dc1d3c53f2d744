"""Memory of this process and of the processes that draw its patches, in bytes."""

import multiprocessing
import os

import psutil
import torch

from segment.memory import limit


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
    free = min(psutil.virtual_memory().available, limit.free_in_groups())
    return int(min(free + psutil.Process().memory_info().rss, limit.slurm_limit(os.environ)))


def free(device: torch.device) -> int:
    """What can still be taken there: of a GPU's memory, or of the machine's as `available` counts it."""
    if device.type == "cuda":
        unused = torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)  # PyTorch keeps it for later
        return int(torch.cuda.mem_get_info(device)[0] + unused)
    return max(0, available() - int(psutil.Process().memory_info().rss))


def gpu_peak(device: torch.device) -> int | None:
    """The most that lay on the GPU since its statistics were reset; None without one."""
    return torch.cuda.max_memory_allocated(device) if device.type == "cuda" else None
