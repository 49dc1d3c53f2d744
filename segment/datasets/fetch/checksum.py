"""Whether a file is the one that was published, or at least the one of the first download."""

import hashlib
import logging
from collections.abc import Iterator
from pathlib import Path

from segment.files import write_text

log = logging.getLogger(__name__)

CHUNK = 2**20  # bytes


def wrong(path: Path, sha256: str | None, md5: str | None, size: int | None) -> str | None:
    """What is wrong with a file, as the end of a sentence; None when it is as published.

    Args:
        path: The file.
        sha256: Hexadecimal; None: not published.
        md5: Hexadecimal; None: not published.
        size: Bytes; None: not published.
    """
    found_size = path.stat().st_size
    if size is not None and found_size != size:
        return f"has {found_size} bytes, expected {size}"
    for name, expected in (("sha256", sha256), ("md5", md5)):
        if expected is not None and (found := digest(path, name)) != expected.lower():
            return f"has {name.upper()} {found}, expected {expected.lower()}"
    return None


def changed(path: Path, target: Path) -> str | None:
    """How a file differs from the first download of `target`, as the end of a sentence; None when it does not.

    Without a first download, this is it: its SHA-256 is kept as `<target>.sha256`, in the format of sha256sum.
    """
    found = digest(path, "sha256")
    record = target.with_name(f"{target.name}.sha256")
    if not record.exists():
        write_text(record, f"{found}  {target.name}\n")
        log.info(
            "no checksum of %s is published; %s keeps the first download's, which is no proof", target, record.name
        )
        return None
    first = record.read_text(encoding="utf-8").split(maxsplit=1)[:1]
    if first == [found]:
        return None
    return (
        f"has SHA-256 {found}, but the first download had {''.join(first)} (delete {record} if the source has changed)"
    )


def digest(path: Path, algorithm: str) -> str:
    """Hexadecimal digest of a file."""
    # No protection is meant by MD5: sources publish it against damage.
    hasher = hashlib.new(algorithm, usedforsecurity=False)
    for chunk in _chunks(path):
        hasher.update(chunk)
    return hasher.hexdigest()


def _chunks(path: Path) -> Iterator[bytes]:
    with path.open("rb") as file:
        while chunk := file.read(CHUNK):
            yield chunk
