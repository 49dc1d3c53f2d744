"""Files and folders that are whole or not there."""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from uuid import uuid4


@contextmanager
def atomic_write(path: Path) -> Iterator[Path]:
    """A hidden path in the same folder, with the same suffixes, that becomes `path` when the block ends well.

    The block writes a file there, which replaces an older one, or makes a folder, which does not. The content is
    flushed to the disk before the rename; when the block fails, nothing is left behind and `path` stays as it was.

    Raises:
        OSError: When the block made a folder and `path` exists.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    aside = path.with_name(f".{uuid4().hex[:8]}.{path.name}")
    try:
        yield aside
        for part in (*aside.rglob("*"), aside):
            _flush(part)
        aside.replace(path)
        _flush(path.parent)
    finally:
        if aside.is_dir():
            shutil.rmtree(aside, ignore_errors=True)
        aside.unlink(missing_ok=True)


def write_text(path: Path, text: str) -> None:
    """Replace a UTF-8 text file as a whole."""
    with atomic_write(path) as aside:
        aside.write_text(text, encoding="utf-8", newline="")


def remove_if_empty(folder: Path, above: str | None = None) -> None:
    """Remove a folder in which nothing has been written, and the folders around it that are then empty, too.

    Args:
        folder: The folder; the current one stays.
        above: The outermost of the folders around it that may go; None: they all stay.
    """
    around = [parent for parent in folder.resolve().parents if above and parent.is_relative_to(Path(above).resolve())]
    with suppress(OSError):  # it holds something, or is not there
        for empty in (folder, *around):
            if empty.resolve() != Path.cwd():
                empty.rmdir()


def _flush(path: Path) -> None:
    """Wait until a file's content, or the names in a folder, are on the disk."""
    if not path.is_dir():
        with path.open("r+b") as file:
            os.fsync(file.fileno())
        return
    with suppress(OSError):  # Windows and some network file systems cannot flush a folder
        number = os.open(path, os.O_RDONLY)
        try:
            os.fsync(number)
        finally:
            os.close(number)
