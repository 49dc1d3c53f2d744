"""What bounds the memory of a job besides that of its machine: its control groups, as in a container, and SLURM."""

import math
from collections.abc import Iterator, Mapping
from pathlib import Path

# Names of the limit, of what is held and, within memory.stat, of what precedes the amounts: versions 2 and 1, see
# Documentation/admin-guide/cgroup-v2.rst and cgroup-v1/memory.rst of Linux.
UNIFIED = "memory.max", "memory.current", ""
LEGACY = "memory.limit_in_bytes", "memory.usage_in_bytes", "total_"

Names = tuple[str, str, str]


def free_in_groups(membership: Path = Path("/proc/self/cgroup"), root: Path = Path("/sys/fs/cgroup")) -> float:
    """Bytes that this process's control groups, each within its parent, leave to it; infinite where nothing bounds it.

    Args:
        membership: Which groups they are, a line `number:controllers:path` each.
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
    """Bytes that a job has asked SLURM for on each node; infinite where it has not, or for all there are."""
    node, core, cores = (
        int(value) if (value := environment.get(f"SLURM_{name}", "")).isdecimal() else 0
        for name in ("MEM_PER_NODE", "MEM_PER_CPU", "CPUS_ON_NODE")
    )
    megabytes = node or core * cores
    return megabytes * 2**20 or math.inf


def _with_parents(root: Path, path: str) -> Iterator[Path]:
    """A group and those around it; a container may see only the outermost ones, which are then its own."""
    group = root / path.lstrip("/")
    while group != root and root in group.parents:
        yield group
        group = group.parent
    yield root


def _free(group: Path, names: Names) -> float:
    """What a group's limit leaves; copies of files in memory make room when it is needed."""
    limit, held, prefix = names
    try:
        most = float((group / limit).read_text().replace("max", "inf"))
        used = float((group / held).read_text())
        amounts = dict(line.split() for line in (group / "memory.stat").read_text().splitlines())
    except OSError:  # the outermost group has no limit
        return math.inf
    files = sum(float(amounts.get(f"{prefix}{kind}_file", 0)) for kind in ("active", "inactive"))
    return max(0.0, most - used + files)
