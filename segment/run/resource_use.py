"""Time and memory that a process has used for a run."""

import resource
import sys
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

GIB = 2**30


@dataclass(frozen=True)
class ResourceUse:
    """Time and memory used since `start`.

    Attributes:
        started_s: Start on the monotonic clock, in seconds.
        started_core_s: Processor time used before the start, in seconds.
    """

    started_s: float
    started_core_s: float

    @classmethod
    def start(cls) -> "ResourceUse":
        """Start the clocks and reset the peak memory of earlier jobs of this process."""
        with suppress(OSError):  # only Linux can reset it
            Path("/proc/self/clear_refs").write_text("5", encoding="ascii")
        return cls(time.monotonic(), _core_seconds())

    def measured(self) -> Mapping[str, float]:
        """`hours`, `core_hours` and `peak_memory_gib` since the start.

        `core_hours` includes child processes that have ended. `peak_memory_gib` is the peak of this process without
        the loader's workers.
        """
        return {
            "hours": round((time.monotonic() - self.started_s) / 3600, 4),
            "core_hours": round((_core_seconds() - self.started_core_s) / 3600, 4),
            "peak_memory_gib": round(peak() / GIB, 3),
        }


def peak() -> int:
    """Peak resident memory of this process in bytes; on Linux since the last `ResourceUse.start`."""
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return most if sys.platform == "darwin" else 1024 * most


def _core_seconds() -> float:
    """Processor time of this process and of its children that have ended, in seconds."""
    own = resource.getrusage(resource.RUSAGE_SELF)
    children = resource.getrusage(resource.RUSAGE_CHILDREN)
    return own.ru_utime + own.ru_stime + children.ru_utime + children.ru_stime
