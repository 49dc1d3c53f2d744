"""Memory limits of a job besides the machine's own: control groups (as in a container) and SLURM."""

import math
from collections.abc import Callable, Mapping
from pathlib import Path

from segment.runtime.control_groups import MEMBERSHIP, MOUNT, groups

# File of the limit, file of the usage, and prefix of the keys in memory.stat, for versions 2 and 1 of control groups.
# See Documentation/admin-guide/cgroup-v2.rst and cgroup-v1/memory.rst of Linux.
UNIFIED = "memory.max", "memory.current", ""
LEGACY = "memory.limit_in_bytes", "memory.usage_in_bytes", "total_"

Names = tuple[str, str, str]


def free_in_groups(membership: Path = MEMBERSHIP, root: Path = MOUNT) -> float:
    """Bytes that are free within this process's control groups and their parents; infinite without a limit.

    Args:
        membership: As in `groups`.
        root: As in `groups`.
    """
    return _least(_free, membership, root)


def most_in_groups(membership: Path = MEMBERSHIP, root: Path = MOUNT) -> float:
    """Bytes that this process's control groups and their parents allow in all; infinite without a limit.

    Args:
        membership: As in `groups`.
        root: As in `groups`.
    """
    return _least(_limit, membership, root)


def _least(measure: Callable[[Path, Names], float], membership: Path, root: Path) -> float:
    """The least of a number over this process's control groups and their parents; infinite without a group."""
    found = groups("memory", membership, root)
    return min((measure(group, UNIFIED if is_unified else LEGACY) for group, is_unified in found), default=math.inf)


def slurm_limit(environment: Mapping[str, str]) -> float:
    """Bytes per node that the job requested from SLURM; infinite without a job or a request."""
    per_node = _slurm_number(environment, "MEM_PER_NODE")
    per_core = _slurm_number(environment, "MEM_PER_CPU")
    cores = _slurm_number(environment, "CPUS_ON_NODE")
    megabytes = per_node or per_core * cores
    return megabytes * 2**20 or math.inf


def _slurm_number(environment: Mapping[str, str], name: str) -> int:
    """The value of `SLURM_<name>`; 0 if it is missing or no number."""
    value = environment.get(f"SLURM_{name}", "")
    return int(value) if value.isdecimal() else 0


def _limit(group: Path, names: Names) -> float:
    try:
        return float((group / names[0]).read_text().replace("max", "inf"))
    except OSError:  # the root group has no limit
        return math.inf


def _free(group: Path, names: Names) -> float:
    """Bytes below a group's limit. Cached files count as free, because the kernel drops them when memory is short."""
    _, usage_name, prefix = names
    try:
        usage = float((group / usage_name).read_text())
        statistics = dict(line.split() for line in (group / "memory.stat").read_text().splitlines())
    except OSError:  # the root group has no limit
        return math.inf
    cached_files = sum(float(statistics.get(f"{prefix}{kind}_file", 0)) for kind in ("active", "inactive"))
    return max(0.0, _limit(group, names) - usage + cached_files)
