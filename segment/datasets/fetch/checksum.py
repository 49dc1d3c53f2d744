"""Check a file against published checksums, or against its first download."""

import hashlib
import logging
from collections.abc import Iterator
from pathlib import Path

from segment.files import write_text

log = logging.getLogger(__name__)

CHUNK = 2**20  # bytes


def find_mismatch(path: Path, sha256: str | None, md5: str | None, size: int | None) -> str | None:
    """How a file differs from the published one, as the end of a sentence; None if it does not.

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
        if expected is None:
            continue
        found = digest(path, name)
        if found != expected.lower():
            return f"has {name.upper()} {found}, expected {expected.lower()}"
    return None


def find_change(path: Path, target: Path) -> str | None:
    """How a file differs from the first download of `target`, as the end of a sentence; None if it does not.

    The SHA-256 of the first download is stored in `<target>.sha256`, in the format of sha256sum. If there is no such
    file, this is the first download.
    """
    found = digest(path, "sha256")
    record = target.with_name(f"{target.name}.sha256")
    if not record.exists():
        write_text(record, f"{found}  {target.name}\n")
        log.info(
            "no checksum of %s is published; %s keeps that of this download, for comparison with later ones",
            target,
            record.name,
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
    # MD5 is only used to detect damage, not as a protection against attacks.
    hasher = hashlib.new(algorithm, usedforsecurity=False)
    for chunk in _chunks(path):
        hasher.update(chunk)
    return hasher.hexdigest()


def _chunks(path: Path) -> Iterator[bytes]:
    with path.open("rb") as file:
        while chunk := file.read(CHUNK):
            yield chunk
