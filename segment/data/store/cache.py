"""The content of a store: list it, explain why a case is or is not in it, and prune it."""

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
# A fingerprint; with a prefix while the volume is being written or removed.
VOLUME = re.compile(r"(\.[0-9a-f]{8}\.)?[0-9a-f]{32}")


@dataclass(frozen=True)
class Entry:
    """A stored volume.

    Attributes:
        volume: The volume. Its id is that of the case for which it was first prepared.
        size_mb: Size on disk.
        unused_days: Days since a run last opened it.
    """

    volume: StoredVolume
    size_mb: float
    unused_days: float

    @property
    def identity(self) -> Mapping[str, Any]:
        """Everything that determines it, see `segment.data.store.fingerprint.identity`."""
        return self.volume.identity


def entries(root: Path) -> list[Entry]:
    """Volumes of a store, those unused for longest first. Volumes that cannot be read are left out.

    The list is empty if the store does not exist.
    """
    found = []
    for folder in _content(root):
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


def explain(case_identity: Mapping[str, Any], stored: Iterable[Entry]) -> str:
    """Explain why a case's volume is, or is not, in the store.

    Args:
        case_identity: The case's `identity`.
        stored: `entries` of the store.
    """
    fewest: list[str] | None = None  # differences to the most similar volume of this CT
    name = fingerprint(case_identity)
    for entry in stored:
        if entry.volume.folder.name == name:
            return f"in the store: {entry.volume.folder.name}, {entry.size_mb:.1f} MB"
        if entry.identity.get("image") == case_identity["image"]:
            different = [key for key in case_identity if entry.identity.get(key) != case_identity[key]]
            fewest = min(fewest or different, different, key=len)
    if fewest is None:
        return "not in the store: this CT was never prepared here, or its content changed"
    return f"not in the store: its CT is, with another {', another '.join(fewest)}"


def prune(root: Path, unused_days: float) -> tuple[int, float]:
    """Remove the volumes that no run will use: of other versions of the code, unused for long, or broken.

    Folders that are not volumes are kept. So are volumes that were used in the last day: a training run updates the
    times of its volumes at its start and in every epoch.

    Args:
        root: The store.
        unused_days: Volumes that no run has opened for more than this many days are removed.

    Returns:
        Number of removed folders, and their size in MB.
    """
    count, size_mb = 0, 0.0
    for folder in sorted(_content(root)):
        with suppress(OSError):  # another process removed it
            if not VOLUME.fullmatch(folder.name) or not folder.is_dir() or not _is_disposable(folder, unused_days):
                continue
            size_mb += sum(path.stat().st_size for path in folder.rglob("*") if path.is_file()) / 1e6
            count += 1
            discard(folder)
    return count, size_mb


def _content(root: Path) -> list[Path]:
    return list(root.iterdir()) if root.is_dir() else []


def _is_disposable(folder: Path, unused_days: float) -> bool:
    unused = (time.time() - folder.stat().st_mtime) / DAY_S
    if unused < 1:
        return False
    try:
        version = StoredVolume("", folder).identity["code"][0]
    except (OSError, ValueError, KeyError):
        return True  # broken, or left incomplete by a process that ended
    return bool(version != VERSION or unused > unused_days)
