"""A record of the hashes of files' content. With it, a run need not read every CT to see that nothing has changed."""

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

# If a file changed less than this time before it was read, it may change again without changing its state. The clocks
# of some file systems advance only every 2 s. The time of change of a memory-mapped page is set at the first change
# only, until the system writes the page to disk, up to half a minute later. Git calls such entries racy.
SETTLED_S = 60


class ContentRecord:
    """Values that were computed from the content of files, e.g. hashes.

    A recorded value is valid while the state of every file is unchanged: size, inode, device, and the times of change
    of content and of inode in nanoseconds. A program that resets the first time still changes the second. Nothing is
    recorded for files that changed in the last `SETTLED_S` seconds.

    Args:
        root: Folder with a small file for each path. It can be deleted; values are then computed again.
    """

    def __init__(self, root: str | Path) -> None:
        self.root = Path(root)

    def hash(self, path: Path) -> str:
        """`content_hash` of a file or folder.

        Raises:
            UserError: As that.
        """
        return self.get_or_compute(path, lambda: content_hash(path))

    def get_or_compute(self, path: Path, compute: Callable[[], str], what: str = "") -> str:
        """Return the recorded value of a file or folder if it is valid, or compute and record it.

        Args:
            path: The file or folder.
            compute: Computes the value from these files only.
            what: Name that distinguishes the value from others of the same files.

        Raises:
            UserError: When a file cannot be read; and as `compute`, whose failures are not recorded.
        """
        entry = self.root / _hash([str(path.absolute()), what] if what else str(path.absolute()))
        now = time.time_ns()
        states = _file_states(path)
        with suppress(OSError, ValueError, KeyError, TypeError):
            recorded = json.loads(entry.read_text(encoding="utf-8"))
            if recorded["marks"] == _hash(states):
                return str(recorded["content"])
        content = compute()
        settled = all(max(mtime, ctime) < now - SETTLED_S * 10**9 for _, mtime, ctime, *_ in states)
        if settled and _file_states(path) == states:
            with suppress(OSError):  # the store is read-only, or the disk is full
                write_text(entry, json.dumps({"marks": _hash(states), "content": content}))
        return content


def _file_states(path: Path) -> list[tuple[str, int, int, int, int, int]]:
    """Name and `_file_state` of a file, or of every file in a folder."""
    return [(str(file.relative_to(path)), *_file_state(file)) for file in files_of(path)]


def _file_state(file: Path) -> tuple[int, int, int, int, int]:
    """Times of change of content and of inode in nanoseconds, size, inode and device."""
    try:
        with file.open("rb") as stream:  # a network file system updates the state of a file when it is opened
            stat = os.fstat(stream.fileno())
    except OSError as error:
        msg = f"cannot read {file}: {error.strerror}; check the file, or where it links to"
        raise UserError(msg) from error
    return stat.st_mtime_ns, stat.st_ctime_ns, stat.st_size, stat.st_ino, stat.st_dev


def _hash(value: object) -> str:
    return blake2b(json.dumps(value).encode(), digest_size=16).hexdigest()
