"""What a store holds, why a case is or is not in it, and what can go."""

import re
import time
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from segment.data.store.fingerprint import VERSION, fingerprint
from segment.data.store.volume import StoredVolume, discard

DAY_S = 24 * 60 * 60
VOLUME = re.compile(r"(\.[0-9a-f]{8}\.)?[0-9a-f]{32}")  # a fingerprint; with a prefix, while it is written or removed


@dataclass(frozen=True)
class Entry:
    """A stored volume.

    Attributes:
        volume: The volume; its id is that under which it was prepared first.
        size_mb: On disk.
        unused_days: Since a run last opened it.
    """

    volume: StoredVolume
    size_mb: float
    unused_days: float

    @property
    def identity(self) -> Mapping[str, Any]:
        """All that decides it."""
        return self.volume.identity


def entries(root: Path) -> list[Entry]:
    """Volumes of a store, the longest unused first; none where there is no store. What cannot be read is left out."""
    found = []
    for folder in root.iterdir() if root.is_dir() else []:
        if folder.name.startswith(".") or not folder.is_dir():
            continue
        try:
            volume = StoredVolume(StoredVolume("", folder).meta["case"], folder)
            size = sum(path.stat().st_size for path in folder.iterdir())
            _ = volume.identity
            found.append(Entry(volume, size / 1e6, (time.time() - folder.stat().st_mtime) / DAY_S))
        except (OSError, ValueError, KeyError):
            continue
    return sorted(found, key=lambda entry: (-entry.unused_days, entry.volume.folder.name))


def explain(decides: Mapping[str, Any], held: Iterable[Entry]) -> str:
    """Why a case's volume is, or is not, among those that a store holds.

    Args:
        decides: The case's `identity`.
        held: What the store holds.
    """
    nearest: list[str] | None = None
    wanted = fingerprint(decides)
    for entry in held:
        if entry.volume.folder.name == wanted:
            return f"in the store: {entry.volume.folder.name}, {entry.size_mb:.1f} MB"
        if entry.identity.get("image") == decides["image"]:
            other = [key for key in decides if entry.identity.get(key) != decides[key]]
            nearest = min(nearest or other, other, key=len)
    if nearest is None:
        return "not in the store: this CT was never prepared here, or its content changed"
    return f"not in the store: its CT is, with another {', another '.join(nearest)}"


def prune(root: Path, unused_days: float) -> tuple[int, float]:
    """Remove what no run will meet again: volumes of other versions of the code, those long unused, broken ones.

    Folders that are no volumes are never touched, nor what was used within a day: a run that is going on touches its
    volumes at its start, and every epoch.

    Args:
        root: The store.
        unused_days: Volumes that no run has opened for longer go, but for those of the last day.

    Returns:
        How many folders went, and their size in MB.
    """
    count, size_mb = 0, 0.0
    for folder in sorted(root.iterdir()) if root.is_dir() else []:
        with suppress(OSError):  # another process removed it
            if not VOLUME.fullmatch(folder.name) or not folder.is_dir() or not _can_go(folder, unused_days):
                continue
            size_mb += sum(path.stat().st_size for path in folder.rglob("*") if path.is_file()) / 1e6
            count += 1
            discard(folder)
    return count, size_mb


def _can_go(folder: Path, unused_days: float) -> bool:
    unused = (time.time() - folder.stat().st_mtime) / DAY_S
    if unused < 1:
        return False
    try:
        version = StoredVolume("", folder).identity["code"][0]
    except (OSError, ValueError, KeyError):
        return True  # half written, by a process that is long gone, or broken
    return bool(version != VERSION or unused > unused_days)
