"""The part of a file that has been downloaded so far."""

import json
import os
from dataclasses import asdict, dataclass
from pathlib import Path

from segment.files import write_text


@dataclass(frozen=True)
class Origin:
    """The remote file whose first bytes are in a part.

    Attributes:
        url: Its URL.
        total: Its size in bytes; None: unknown.
        validator: See `segment.datasets.fetch.remote.Remote`.
    """

    url: str
    total: int | None
    validator: str | None


class PartialFile:
    """The bytes in `<name>.part`, and their origin in `<name>.part.json`, which is written before the first byte.

    Args:
        target: The complete file.
    """

    def __init__(self, target: Path) -> None:
        self.target = target
        self.path = target.with_name(f"{target.name}.part")
        self.note = target.with_name(f"{target.name}.part.json")

    @property
    def size(self) -> int:
        """Bytes so far."""
        return self.path.stat().st_size if self.path.exists() else 0

    @property
    def origin(self) -> Origin | None:
        """Origin of the bytes; None if it is unknown, in which case the bytes are useless."""
        try:
            return Origin(**json.loads(self.note.read_text(encoding="utf-8")))
        except (OSError, ValueError, TypeError):
            return None

    def restart(self, origin: Origin) -> None:
        """Discard the bytes and start again."""
        self.remove()
        write_text(self.note, json.dumps(asdict(origin)))
        self.path.touch()

    def remove(self) -> None:
        """Remove both files."""
        self.path.unlink(missing_ok=True)  # first, because bytes without a note are useless
        self.note.unlink(missing_ok=True)

    def finish(self) -> None:
        """Flush the bytes to the disk and rename the part to the target."""
        with self.path.open("r+b") as file:
            os.fsync(file.fileno())
        self.path.replace(self.target)
        self.note.unlink(missing_ok=True)
