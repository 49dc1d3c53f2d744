"""Unpack an archive completely and safely, or not at all."""

import json
from pathlib import Path
from typing import NoReturn

from segment.datasets.fetch.disk_space import check_space, explain_full_disk
from segment.datasets.fetch.download_lock import locked
from segment.datasets.fetch.members import DAMAGE, Member, is_damage, members
from segment.errors import UserError
from segment.files import atomic_write

MARKER = ".unpacked.json"
MAX_MEMBERS = 1_000_000
MAX_RATIO = 200  # of unpacked to packed bytes; about 1 for CTs, which are already compressed
CHUNK = 2**20  # bytes


def unpack(archive: Path, folder: Path, max_bytes: int) -> Path:
    """Unpack a zip, tar or tar.gz into `folder`.

    The files are written to a temporary folder and flushed to the disk. The folder is renamed when it is complete.
    Paths that lead out of the folder, links, devices and encrypted files are refused. Files that macOS adds
    (`__MACOSX`, `.DS_Store`, `._*`) are left out. If the folder was already unpacked from this archive, nothing
    happens.

    Args:
        archive: The archive; the end of its name states the format.
        folder: The folder to create. Its parent is created if it is missing.
        max_bytes: Largest total size of the unpacked files. More than 200 times the size of the archive is always
            refused.

    Returns:
        The folder.

    Raises:
        UserError: When the archive is refused, damaged or truncated, the disk is full, or the folder exists and was
            not unpacked from this archive.
    """
    with locked(folder):
        if is_unpacked(folder, archive.name):
            return folder
        if folder.exists():
            msg = f"{folder} exists, but was not unpacked from {archive.name}; move it away or delete it"
            raise UserError(msg)
        with explain_full_disk(folder), atomic_write(folder) as temporary:
            temporary.mkdir()
            _write_all(archive, temporary, max_bytes)
            (temporary / MARKER).write_text(json.dumps({"archive": archive.name}), encoding="utf-8")
    return folder


def is_unpacked(folder: Path, archive_name: str) -> bool:
    """Whether the folder was completely unpacked from an archive of that name."""
    try:
        found = json.loads((folder / MARKER).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return False
    return bool(found == {"archive": archive_name})


def _write_all(archive: Path, folder: Path, max_bytes: int) -> None:
    size = archive.stat().st_size
    check_space(folder, size)
    # The ratio is checked against the bytes written, not those claimed: a truncated archive claims more than it has.
    room = min(max_bytes, MAX_RATIO * size)
    claimed = 0
    try:
        for count, member in enumerate(members(archive), start=1):
            claimed += member.size
            if claimed > max_bytes or count > MAX_MEMBERS:
                _refuse_bomb(archive)
            room -= _write(member, folder, archive, room)
    except (*DAMAGE, OSError) as error:
        if isinstance(error, OSError) and not is_damage(error):
            raise
        reason = str(error) or type(error).__name__
        msg = f"{archive} is damaged or truncated ({reason}); delete it and download it again"
        raise UserError(msg) from error


def _write(member: Member, folder: Path, archive: Path, room: int) -> int:
    """Write a member and return its size, which may be `room` bytes at most."""
    path = folder / member.name
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        file = path.open("xb")
    except (FileExistsError, NotADirectoryError) as error:
        msg = f"{archive} holds {str(member.name)!r} twice; nothing was kept: do not use this archive"
        raise UserError(msg) from error
    written = 0
    with file:
        while chunk := member.stream.read(CHUNK):
            written += len(chunk)
            if written > room:
                _refuse_bomb(archive)
            file.write(chunk)
    return written


def _refuse_bomb(archive: Path) -> NoReturn:
    msg = (
        f"{archive} unpacks to far more than the data set has, perhaps to fill the disk; nothing was kept: do not use "
        "it"
    )
    raise UserError(msg)
