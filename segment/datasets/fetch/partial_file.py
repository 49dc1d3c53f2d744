"""The first bytes of a file that is being downloaded, and what is known of the rest."""

import json
import os
from dataclasses import asdict, dataclass
from pathlib import Path

from segment.files import write_text


@dataclass(frozen=True)
class Origin:
    """What the bytes of a part are the beginning of.

    Attributes:
        url: Where they come from.
        total: Bytes of the whole; None: unknown.
        validator: See `segment.datasets.fetch.remote.Remote`.
    """

    url: str
    total: int | None
    validator: str | None


class PartialFile:
    """`<name>.part`, and `<name>.part.json`, which is written before the first byte.

    Args:
        target: What the part becomes when it is whole.
    """

    def __init__(self, target: Path) -> None:
        self.target = target
        self.path = target.with_name(f"{target.name}.part")
        self.note = target.with_name(f"{target.name}.part.json")

    @property
    def size(self) -> int:
        """Bytes that are there."""
        return self.path.stat().st_size if self.path.exists() else 0

    @property
    def origin(self) -> Origin | None:
        """What the bytes are of; None when that is not known, so that they are worth nothing."""
        try:
            return Origin(**json.loads(self.note.read_text(encoding="utf-8")))
        except (OSError, ValueError, TypeError):
            return None

    def begin(self, origin: Origin) -> None:
        """Forget the bytes and start anew."""
        self.drop()
        write_text(self.note, json.dumps(asdict(origin)))
        self.path.touch()

    def drop(self) -> None:
        """Remove everything."""
        self.path.unlink(missing_ok=True)  # first: bytes without a note are worth nothing
        self.note.unlink(missing_ok=True)

    def finish(self) -> None:
        """Become the target, which it replaces, once the bytes are on the disk."""
        with self.path.open("r+b") as file:
            os.fsync(file.fileno())
        self.path.replace(self.target)
        self.note.unlink(missing_ok=True)
