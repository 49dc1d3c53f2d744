"""Resources of a search: its budget of hours, and the cores and GPUs that simultaneous trials share."""

import json
import os
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

import torch

from segment.files import write_text
from segment.runtime.cores import allowed_cores
from segment.search.lock import held

TICK_S = 5.0  # between two writes of the time; a killed process loses at most this much
GAP_S = 60.0  # a longer gap between two writes means that no process was working
THREADS = "OMP_NUM_THREADS"
DEVICES = "CUDA_VISIBLE_DEVICES"


class Clock:
    """Counts the time in which at least one process worked on a search, not the time between a kill and a resume.

    Args:
        path: A JSON file that all processes share.
        hours: The budget; None: unlimited. The time is counted anyway, for a later resume with a budget.
    """

    def __init__(self, path: Path, hours: float | None) -> None:
        self.path = path
        self.hours = hours
        self.worked_s = 0.0
        self.noted_at = -TICK_S

    def over(self) -> bool:
        """Whether the budget is used up. Call this every few seconds: it also counts the time."""
        if time.monotonic() - self.noted_at >= TICK_S:
            self.worked_s = self._note()
            self.noted_at = time.monotonic()
        return self.hours is not None and self.worked_s >= 3600 * self.hours

    def _note(self) -> float:
        """Add the time since the last write by any process, and return the sum in seconds."""
        with held(self.path.with_name(f".{self.path.name}.lock")):
            now = time.time()  # the clocks of two machines may differ by some seconds, which does not matter
            before = json.loads(self.path.read_text()) if self.path.exists() else {"worked_s": 0.0, "last": now}
            gap = now - before["last"]
            worked = float(before["worked_s"]) + (gap if 0 < gap <= GAP_S else 0)
            write_text(self.path, json.dumps({"worked_s": worked, "last": max(now, before["last"])}))
        return worked


def machine_slots(workers: int) -> list[dict[str, str]]:
    """`slots` of this machine."""
    visible = os.environ.get(DEVICES)
    devices = [str(i) for i in range(torch.cuda.device_count())] if visible is None else visible.split(",")
    return slots(workers, allowed_cores(), devices, os.environ)


def slots(workers: int, cores: int, devices: Sequence[str], environment: Mapping[str, str]) -> list[dict[str, str]]:
    """Environment variables for each of the trials that run at the same time.

    A single trial gets none. Several trials get an equal share of the cores as threads, unless the user has set the
    number of threads, and one GPU each in turn, if there are several. For example, 3 workers with 8 cores and the
    GPUs 0 and 1 get 2 threads each, and the GPUs 0, 1 and 0.

    Args:
        workers: Number of trials at the same time.
        cores: Number of cores that this process may use.
        devices: Names or numbers of the GPUs that this process may use.
        environment: Environment variables of this process.
    """
    if workers == 1:
        return [{}]
    shares = []
    for index in range(workers):
        share = {}
        if THREADS not in environment:
            share[THREADS] = str(max(1, cores // workers))
        if len(devices) > 1:
            share[DEVICES] = devices[index % len(devices)]
        shares.append(share)
    return shares
