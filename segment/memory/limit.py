"""Memory limits of a job besides the machine's own: control groups (as in a container) and SLURM."""

import math
from collections.abc import Iterator, Mapping
from pathlib import Path

# File of the limit, file of the usage, and prefix of the keys in memory.stat, for versions 2 and 1 of control groups.
# See Documentation/admin-guide/cgroup-v2.rst and cgroup-v1/memory.rst of Linux.
UNIFIED = "memory.max", "memory.current", ""
LEGACY = "memory.limit_in_bytes", "memory.usage_in_bytes", "total_"

Names = tuple[str, str, str]


def free_in_groups(membership: Path = Path("/proc/self/cgroup"), root: Path = Path("/sys/fs/cgroup")) -> float:
    """Bytes that are free within this process's control groups and their parents; infinite without a limit.

    Args:
        membership: Lists the groups of the process, one line `number:controllers:path` each.
        root: Where control groups are mounted.
    """
    if not membership.is_file():
        return math.inf
    free = math.inf
    for line in membership.read_text().splitlines():
        _, controllers, path = line.split(":", 2)
        if not controllers:
            free = min(free, *(_free(group, UNIFIED) for group in _with_parents(root, path)))
        elif "memory" in controllers.split(","):
            free = min(free, *(_free(group, LEGACY) for group in _with_parents(root / "memory", path)))
    return free


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


def _with_parents(root: Path, path: str) -> Iterator[Path]:
    """A group and its parents. A container may see only the mount point, which is then its own group."""
    group = root / path.lstrip("/")
    while group != root and root in group.parents:
        yield group
        group = group.parent
    yield root


def _free(group: Path, names: Names) -> float:
    """Bytes below a group's limit. Cached files count as free, because the kernel drops them when memory is short."""
    limit_name, usage_name, prefix = names
    try:
        limit = float((group / limit_name).read_text().replace("max", "inf"))
        usage = float((group / usage_name).read_text())
        statistics = dict(line.split() for line in (group / "memory.stat").read_text().splitlines())
    except OSError:  # the root group has no limit
        return math.inf
    cached_files = sum(float(statistics.get(f"{prefix}{kind}_file", 0)) for kind in ("active", "inactive"))
    return max(0.0, limit - usage + cached_files)
