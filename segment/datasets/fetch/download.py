"""Download a file so that it is whole and right, or not there."""

import logging
import time
from pathlib import Path

from segment.datasets.fetch.checksum import changed, wrong
from segment.datasets.fetch.lock import locked
from segment.datasets.fetch.partial_file import Origin, PartialFile
from segment.datasets.fetch.progress import progress
from segment.datasets.fetch.remote import DroppedError, Remote, opened
from segment.datasets.fetch.space import check_space, room_for
from segment.errors import UserError

log = logging.getLogger(__name__)

ATTEMPTS = 6  # in a row that bring not one new byte
PAUSE_S = 1.0  # after the first of them; twice as long after each further one
LONGEST_PAUSE_S = 60.0


def download(
    url: str, target: Path, sha256: str | None = None, md5: str | None = None, size: int | None = None
) -> Path:
    """Download `url` to `target`, going on where an earlier attempt stopped.

    What has come so far lies in `<target>.part`; it is gone on with only if the server says that its file is still the
    same (or a published checksum will tell at the end), else it is downloaded anew. A process that finds another one at
    the same target waits for it. A target that is there already is checked, not downloaded.

    Args:
        url: http, https or file.
        target: File to write.
        sha256: Published checksum, hexadecimal.
        md5: Published checksum, hexadecimal.
        size: Published size in bytes.

    Returns:
        The target: as published. Without a published checksum, the same as at the first download, whose SHA-256 is
        kept beside it.

    Raises:
        UserError: When the file cannot be had, is not as published or as at the first download, or does not fit.
    """
    part = PartialFile(target)
    with locked(target):
        if target.exists():
            part.drop()  # what a process that was killed just before the end has left
            if problem := _problem(target, target, sha256, md5, size):
                msg = f"{target} {problem}; delete it to download it again"
                raise UserError(msg)
            return target
        with room_for(target):
            _receive(url, part, size, checked=bool(sha256 or md5))
            if problem := _problem(part.path, target, sha256, md5, size):
                part.drop()
                msg = f"{url} {problem}; it was deleted: run again, and if it stays so, do not use this source"
                raise UserError(msg)
            part.finish()
    return target


def _problem(path: Path, target: Path, sha256: str | None, md5: str | None, size: int | None) -> str | None:
    log.info("checking %s", path)
    if problem := wrong(path, sha256, md5, size):
        return problem
    return None if sha256 or md5 else changed(path, target)


def _receive(url: str, part: PartialFile, size: int | None, checked: bool) -> None:
    """Ask until the part is whole."""
    most, idle = part.size, 0
    while True:
        try:
            _go_on(url, part, size, checked)
        except DroppedError as error:
            idle = 0 if part.size > most else idle + 1
            most = max(most, part.size)
            if idle == ATTEMPTS:
                msg = f"{url} cannot be downloaded: {error}; connect and run again, which continues at byte {part.size}"
                raise UserError(msg) from error
            pause_s = min(max(PAUSE_S * 2 ** max(idle - 1, 0), error.wait_s), LONGEST_PAUSE_S)
            log.warning("%s: %s; trying again in %.0f s", url, error, pause_s)
            time.sleep(pause_s)
        else:
            return


def _go_on(url: str, part: PartialFile, size: int | None, checked: bool) -> None:
    origin = part.origin
    offset = part.size
    if origin is None or origin.url != url or not (origin.validator or checked) or offset > (origin.total or offset):
        origin, offset = None, 0
    if origin is not None and offset == origin.total:
        return
    with opened(url, offset, origin.validator if origin else None) as remote:
        if size is not None and remote.total not in (None, size):
            msg = (
                f"{url} has {remote.total} bytes, expected {size}: the file was replaced; look on the data set's "
                "home page for the one of that size"
            )
            raise UserError(msg)
        # Some servers send a range whatever `If-Range` says.
        if remote.offset and (remote.offset, Origin(url, remote.total, remote.validator)) != (offset, origin):
            part.drop()
            msg = "the file has changed since the download began"
            raise DroppedError(msg)
        if not remote.offset:
            part.begin(Origin(url, remote.total, remote.validator))
        _append(remote, part)


def _append(remote: Remote, part: PartialFile) -> None:
    if remote.total is not None:
        check_space(part.path.parent, remote.total - remote.offset)
    with part.path.open("ab") as file, progress(part.target.name, remote.offset, remote.total) as advance:
        for chunk in remote.chunks():
            file.write(chunk)
            advance(len(chunk))
