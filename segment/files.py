"""Files that are whole or not there."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from uuid import uuid4


@contextmanager
def written_aside(path: Path) -> Iterator[Path]:
    """A temporary path in the same folder, with the same suffixes, that becomes `path` when the block ends well.

    The content is flushed to the disk before the rename; when the block fails, nothing is left behind and an older
    file stays as it was.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    aside = path.with_name(f".{uuid4().hex[:8]}.{path.name}")
    try:
        yield aside
        with aside.open("rb") as file:
            os.fsync(file.fileno())
        aside.replace(path)
    finally:
        aside.unlink(missing_ok=True)


def write_text(path: Path, text: str) -> None:
    """Replace a text file as a whole."""
    with written_aside(path) as aside:
        aside.write_text(text)
