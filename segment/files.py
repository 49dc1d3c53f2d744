"""Atomic writes: a file or folder is complete, or it does not exist."""

import hashlib
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from uuid import uuid4


@contextmanager
def atomic_write(path: Path) -> Iterator[Path]:
    """Yield a temporary path that is renamed to `path` when the block succeeds.

    The temporary path is hidden, in the same folder, and has the same suffixes: `.1f3a9c04.mask.nii.gz` for
    `mask.nii.gz`. The block writes a file there, which replaces an existing one, or creates a folder, which does not.
    The content is flushed to disk before the rename. If the block fails, the temporary file is deleted and `path` is
    unchanged.

    Raises:
        OSError: When the block created a folder and `path` exists.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{uuid4().hex[:8]}.{path.name}")
    try:
        yield temporary
        for part in (*temporary.rglob("*"), temporary):
            _flush(part)
        temporary.replace(path)
        _flush(path.parent)
    finally:
        if temporary.is_dir():
            shutil.rmtree(temporary, ignore_errors=True)
        temporary.unlink(missing_ok=True)


def file_sha256(path: Path) -> str:
    """SHA-256 of the content of a file, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def write_text(path: Path, text: str) -> None:
    """Write a UTF-8 text file atomically."""
    with atomic_write(path) as temporary:
        temporary.write_text(text, encoding="utf-8", newline="")


def remove_if_empty(folder: Path, above: str | None = None) -> None:
    """Remove an empty folder, and its parents up to `above` that are then empty.

    Args:
        folder: The folder; the current working directory is never removed.
        above: The outermost parent that may be removed; None removes no parent.
    """
    parents = []
    if above:
        outermost = Path(above).resolve()
        parents = [parent for parent in folder.resolve().parents if parent.is_relative_to(outermost)]
    with suppress(OSError):  # not empty, or it does not exist
        for empty in (folder, *parents):
            if empty.resolve() != Path.cwd():
                empty.rmdir()


def _flush(path: Path) -> None:
    """Flush a file, or the entries of a folder, to disk."""
    if not path.is_dir():
        with path.open("r+b") as file:
            os.fsync(file.fileno())
        return
    with suppress(OSError):  # Windows and some network file systems cannot flush a folder
        descriptor = os.open(path, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
