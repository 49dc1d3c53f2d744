"""The control groups of this process, through which a container or a job limits memory and cores."""

from collections.abc import Iterator
from pathlib import Path

MEMBERSHIP = Path("/proc/self/cgroup")
MOUNT = Path("/sys/fs/cgroup")


def groups(controller: str, membership: Path = MEMBERSHIP, root: Path = MOUNT) -> Iterator[tuple[Path, bool]]:
    """Yield the folder of each group that limits this process, with its parents, and whether it is of version 2.

    See Documentation/admin-guide/cgroup-v2.rst and cgroup-v1 of Linux. Elsewhere nothing is yielded.

    Args:
        controller: For example `memory` or `cpu`.
        membership: Lists the groups of the process, one line `number:controllers:path` each.
        root: Where control groups are mounted.
    """
    if not membership.is_file():
        return
    for line in membership.read_text().splitlines():
        _, controllers, path = line.split(":", 2)
        if not controllers:
            yield from ((group, True) for group in _with_parents(root, path))
        elif controller in controllers.split(","):
            yield from ((group, False) for group in _with_parents(root / controller, path))


def _with_parents(root: Path, path: str) -> Iterator[Path]:
    """A group and its parents. A container may see only the mount point, which is then its own group."""
    group = root / path.lstrip("/")
    while group != root and root in group.parents:
        yield group
        group = group.parent
    yield root
