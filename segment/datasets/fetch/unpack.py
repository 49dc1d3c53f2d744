"""Unpack an archive that may be hostile, so that its folder is whole or not there."""

import json
from pathlib import Path
from typing import NoReturn

from segment.datasets.fetch.lock import locked
from segment.datasets.fetch.members import DAMAGE, Member, is_damage, members
from segment.datasets.fetch.space import check_space, room_for
from segment.errors import UserError
from segment.files import atomic_write

MARKER = ".unpacked.json"
MAX_MEMBERS = 1_000_000
MAX_RATIO = 200  # of unpacked to packed bytes; CTs, which are compressed before they are packed, reach about 1
CHUNK = 2**20  # bytes


def unpack(archive: Path, folder: Path, max_bytes: int) -> Path:
    """Unpack a zip, tar or tar.gz into `folder`.

    The files are written aside, flushed, and appear under the folder's name when all are there. Paths that lead out of
    the folder, links, devices and encrypted files are refused; what a Mac adds (`__MACOSX`, `.DS_Store`, `._*`) is left
    out. A folder that was unpacked from this archive is left alone.

    Args:
        archive: File whose name says its kind.
        folder: Where to; its parent may be missing.
        max_bytes: What the archive may unpack to at most; more than 200 times its own size is refused in any case.

    Returns:
        The folder.

    Raises:
        UserError: When the archive is refused, damaged or cut off, the disk is full, or the folder exists and is not
            this archive's.
    """
    with locked(folder):
        if is_unpacked(folder, archive.name):
            return folder
        if folder.exists():
            msg = f"{folder} exists, but was not unpacked from {archive.name}; move it away or delete it"
            raise UserError(msg)
        with room_for(folder), atomic_write(folder) as aside:
            aside.mkdir()
            _write_all(archive, aside, max_bytes)
            (aside / MARKER).write_text(json.dumps({"archive": archive.name}), encoding="utf-8")
    return folder


def is_unpacked(folder: Path, archive_name: str) -> bool:
    """Whether the folder was unpacked, as a whole, from an archive of that name."""
    try:
        found = json.loads((folder / MARKER).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return False
    return bool(found == {"archive": archive_name})


def _write_all(archive: Path, aside: Path, max_bytes: int) -> None:
    size = archive.stat().st_size
    check_space(aside, size)
    # By what is written, not by what members claim to hold: an archive that is cut off is short, but no bomb.
    room = min(max_bytes, MAX_RATIO * size)
    claimed = 0
    try:
        for count, member in enumerate(members(archive), start=1):
            claimed += member.size
            if claimed > max_bytes or count > MAX_MEMBERS:
                _refuse_bomb(archive)
            room -= _write(member, aside, archive, room)
    except (*DAMAGE, OSError) as error:
        if isinstance(error, OSError) and not is_damage(error):
            raise
        reason = str(error) or type(error).__name__
        msg = f"{archive} is damaged or cut off ({reason}); delete it and download it again"
        raise UserError(msg) from error


def _write(member: Member, aside: Path, archive: Path, room: int) -> int:
    """Bytes written, at most `room`."""
    path = aside / member.name
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        file = path.open("xb")
    except (FileExistsError, NotADirectoryError) as error:
        msg = f"{archive} holds {str(member.name)!r} twice; nothing of it was kept: do not use this archive"
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
        f"{archive} unpacks to far more than the data set has, to fill the disk; nothing of it was kept: do not use it"
    )
    raise UserError(msg)
