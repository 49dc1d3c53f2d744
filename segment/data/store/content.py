"""Hashes of files' content, kept, so that a run need not read through every CT to see that nothing has changed."""

import json
import os
import time
from collections.abc import Callable
from contextlib import suppress
from hashlib import blake2b
from pathlib import Path

from segment.data.store.fingerprint import content_hash, files_of
from segment.errors import UserError
from segment.files import write_text

# A file that changed within this time before it was read may change again without a trace: clocks of file systems tick
# as slowly as every 2 s, and a page that a program has mapped into memory is stamped at its first change only, until
# the system writes it out, half a minute later. Git calls such entries racy.
SETTLED_S = 60


class ContentRecord:
    """What files held when they were last read.

    A kept hash counts only as long as every file has the size, both times to the nanosecond, the inode and the device
    of then; whoever sets a file's time of change back still changes the other. Nothing is kept of files that are not
    settled.

    Args:
        root: Folder with a small file for each path. Losing it costs time, no more.
    """

    def __init__(self, root: Path) -> None:
        self.root = root

    def hash(self, path: Path) -> str:
        """`content_hash` of a file or folder.

        Raises:
            UserError: As that.
        """
        return self.kept(path, lambda: content_hash(path))

    def kept(self, path: Path, compute: Callable[[], str], what: str = "") -> str:
        """What was computed from a file or folder when its content was last read.

        Args:
            path: The file or folder.
            compute: Computes it, from these files alone.
            what: Tells it from other values of the same files.

        Raises:
            UserError: When a file cannot be read; and as `compute`, whose failures are not kept.
        """
        place = self.root / _hex([str(path.absolute()), what] if what else str(path.absolute()))
        now = time.time_ns()
        before = _marks(path)
        with suppress(OSError, ValueError, KeyError, TypeError):
            held = json.loads(place.read_text(encoding="utf-8"))
            if held["marks"] == _hex(before):
                return str(held["content"])
        content = compute()
        settled = all(max(mtime, ctime) < now - SETTLED_S * 10**9 for _, mtime, ctime, *_ in before)
        if settled and _marks(path) == before:
            with suppress(OSError):  # a store that may only be read, or a full disk
                write_text(place, json.dumps({"marks": _hex(before), "content": content}))
        return content


def _marks(path: Path) -> list[tuple[str, int, int, int, int, int]]:
    """Of every file: its name, the times of change of content and of inode, and what else changes with the content."""
    return [(str(file.relative_to(path)), *_mark(file)) for file in files_of(path)]


def _mark(file: Path) -> tuple[int, int, int, int, int]:
    try:
        with file.open("rb") as stream:  # network file systems look anew at what is opened
            seen = os.fstat(stream.fileno())
    except OSError as error:
        msg = f"cannot read {file}: {error.strerror}; check the file, or where it links to"
        raise UserError(msg) from error
    return seen.st_mtime_ns, seen.st_ctime_ns, seen.st_size, seen.st_ino, seen.st_dev


def _hex(value: object) -> str:
    return blake2b(json.dumps(value).encode(), digest_size=16).hexdigest()
