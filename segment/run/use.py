"""What a process has used since it took a run: time and memory."""

import resource
import sys
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

GIB = 2**30


@dataclass(frozen=True)
class Use:
    """Time and memory from when it begins.

    Attributes:
        started_s: Of a clock that never goes back.
        started_core_s: Processor time until then.
    """

    started_s: float
    started_core_s: float

    @classmethod
    def begin(cls) -> "Use":
        """Start the clocks, and forget the peaks of earlier jobs of this process."""
        with suppress(OSError):  # Linux alone can
            Path("/proc/self/clear_refs").write_text("5", encoding="ascii")
        return cls(time.monotonic(), _core_seconds())

    def so_far(self) -> Mapping[str, float]:
        """`hours` of this process, `core_hours` also of those it started that have ended, and its peak in GiB.

        `peak_memory_gib` is that of this process, without the loader's workers.
        """
        return {
            "hours": round((time.monotonic() - self.started_s) / 3600, 4),
            "core_hours": round((_core_seconds() - self.started_core_s) / 3600, 4),
            "peak_memory_gib": round(peak() / GIB, 3),
        }


def peak() -> int:
    """The most bytes that this process has held in memory; on Linux, since the last `Use` began."""
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return most if sys.platform == "darwin" else 1024 * most


def _core_seconds() -> float:
    """Processor time of this process and of those that it has started and that have ended, in seconds."""
    return sum(
        usage.ru_utime + usage.ru_stime
        for usage in map(resource.getrusage, (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    )
