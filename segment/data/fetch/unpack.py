"""Unpack an archive that may be hostile, so that its folder is whole or not there."""

import glob
import json
import shutil
from pathlib import Path

from segment.data.fetch.lock import locked
from segment.data.fetch.members import DAMAGE, Member, members
from segment.data.fetch.space import check_space, room_for
from segment.errors import UserError
from segment.files import written_aside

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
        for left in folder.parent.glob(f".????????.{glob.escape(folder.name)}"):
            shutil.rmtree(left)  # of a process that died: nobody else writes while this one holds the lock
        with room_for(folder), written_aside(folder) as aside:
            aside.mkdir()
            _write_all(archive, aside, min(max_bytes, MAX_RATIO * archive.stat().st_size))
            (aside / MARKER).write_text(json.dumps({"archive": archive.name}), encoding="utf-8")
    return folder


def is_unpacked(folder: Path, archive_name: str) -> bool:
    """Whether the folder was unpacked, as a whole, from an archive of that name."""
    try:
        found = json.loads((folder / MARKER).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return False
    return bool(found == {"archive": archive_name})


def _write_all(archive: Path, aside: Path, limit: int) -> None:
    check_space(aside, archive.stat().st_size)
    total = 0
    try:
        for count, member in enumerate(members(archive), start=1):
            total += member.size
            if total > limit or count > MAX_MEMBERS:
                msg = (
                    f"{archive} unpacks to more than {limit / 1e9:.3g} GB or {MAX_MEMBERS} files, as an archive made "
                    "to fill the disk does; nothing of it was kept: do not use it"
                )
                raise UserError(msg)
            _write(member, aside, archive)
    except DAMAGE as error:
        reason = str(error) or type(error).__name__
        msg = f"{archive} is damaged or cut off ({reason}); delete it and download it again"
        raise UserError(msg) from error


def _write(member: Member, aside: Path, archive: Path) -> None:
    path = aside / member.name
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        file = path.open("xb")
    except (FileExistsError, NotADirectoryError) as error:
        msg = f"{archive} holds {str(member.name)!r} twice; nothing of it was kept: do not use this archive"
        raise UserError(msg) from error
    with file:
        left = member.size
        while chunk := member.stream.read(min(CHUNK, left)):
            file.write(chunk)
            left -= len(chunk)
    if left:
        msg = f"{member.name} ends {left} bytes early"
        raise EOFError(msg)
