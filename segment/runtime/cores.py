"""How many cores this process may use, which can be far fewer than the machine has."""

import math
import os
from pathlib import Path

from segment.runtime.control_groups import MEMBERSHIP, MOUNT, groups


def allowed_cores(membership: Path = MEMBERSHIP, root: Path = MOUNT) -> int:
    """Number of cores that the process may use, at least 1.

    This is the smallest of: the cores that the system assigns (`taskset`, SLURM, `docker --cpuset-cpus`), the quota of
    the control groups (`docker --cpus`, Kubernetes), and `OMP_NUM_THREADS`.

    Args:
        membership: As in `groups`.
        root: As in `groups`.
    """
    assigned = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    wished = os.environ.get("OMP_NUM_THREADS", "").split(",")[0]  # one number for each level of nesting
    limit = int(wished) if wished.isdecimal() and int(wished) else math.inf
    quota = min((_quota(group, unified) for group, unified in groups("cpu", membership, root)), default=math.inf)
    return max(1, int(min(assigned, limit, math.ceil(quota) if quota < math.inf else quota)))


def _quota(group: Path, is_unified: bool) -> float:
    """Cores of a group: microseconds of computing per period; infinite without a limit."""
    try:
        if is_unified:
            quota, period = (group / "cpu.max").read_text().split()[:2]
        else:
            quota, period = ((group / f"cpu.cfs_{name}_us").read_text() for name in ("quota", "period"))
        cores = float(quota.replace("max", "inf")) / float(period)
    except (OSError, ValueError, ZeroDivisionError):  # the root group has no limit
        return math.inf
    return cores if cores > 0 else math.inf  # version 1 writes -1 for no limit
