"""What a store holds, why a case is or is not in it, and what can go."""

import shutil
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from segment.data.fingerprint import VERSION, fingerprint
from segment.data.volume import StoredVolume, discard

DAY_S = 24 * 60 * 60


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
        return dict(self.volume.meta["identity"])


def entries(root: Path) -> list[Entry]:
    """Volumes of a store, the longest unused first; none where there is no store. Damaged ones are left out."""
    found = []
    for folder in root.iterdir() if root.is_dir() else []:
        if folder.name.startswith(".") or not folder.is_dir():
            continue
        try:
            volume = StoredVolume(StoredVolume("", folder).meta["case"], folder)
            size = sum(path.stat().st_size for path in folder.iterdir())
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
    for entry in held:
        if entry.volume.folder.name == fingerprint(decides):
            return f"in the store: {entry.volume.folder.name}, {entry.size_mb:.1f} MB"
        if entry.identity.get("image") == decides["image"]:
            other = [key for key in decides if entry.identity.get(key) != decides[key]]
            nearest = min(nearest or other, other, key=len)
    if nearest is None:
        return "not in the store: this CT was never prepared here, or its content changed"
    return f"not in the store: its CT is, with another {', another '.join(nearest)}"


def prune(root: Path, unused_days: float) -> tuple[int, float]:
    """Remove what no run will meet again: volumes of other versions of the code, those long unused, broken ones.

    Args:
        root: The store.
        unused_days: Volumes that no run has opened for longer go.

    Returns:
        How many folders went, and their size in MB.
    """
    keep = {
        entry.volume.folder
        for entry in entries(root)
        if entry.identity["code"][0] == VERSION and entry.unused_days <= unused_days
    }
    count, size_mb = 0, 0.0
    for folder in list(root.iterdir()) if root.is_dir() else []:
        # What a process is writing just now is as young as its files.
        if folder in keep or not folder.is_dir() or _is_being_written(folder):
            continue
        size_mb += sum(path.stat().st_size for path in folder.rglob("*") if path.is_file()) / 1e6
        count += 1
        if folder.name.startswith("."):
            shutil.rmtree(folder, ignore_errors=True)
        else:
            discard(folder)
    return count, size_mb


def _is_being_written(folder: Path) -> bool:
    return folder.name.startswith(".") and time.time() - folder.stat().st_mtime < DAY_S
