"""Download a file completely and check it, or leave nothing under its name."""

import logging
import time
from pathlib import Path

from segment.datasets.fetch.checksum import find_change, find_mismatch
from segment.datasets.fetch.disk_space import check_space, explain_full_disk
from segment.datasets.fetch.download_lock import locked
from segment.datasets.fetch.partial_file import Origin, PartialFile
from segment.datasets.fetch.progress_bar import progress
from segment.datasets.fetch.remote import DroppedError, Remote, open_remote
from segment.errors import UserError

log = logging.getLogger(__name__)

ATTEMPTS = 6  # in a row without a new byte
PAUSE_S = 1.0  # after the first of them; doubled after each further one
LONGEST_PAUSE_S = 60.0


def download(
    url: str, target: Path, sha256: str | None = None, md5: str | None = None, size: int | None = None
) -> Path:
    """Download `url` to `target`, or resume an earlier attempt.

    The bytes received so far are in `<target>.part`. They are kept only if the server confirms that its file has not
    changed, or if a published checksum will detect a change at the end. Otherwise the download starts again from the
    first byte. If another process downloads the same target, this one waits for it. An existing target is checked, not
    downloaded again.

    Args:
        url: http, https or file.
        target: File to write.
        sha256: Published checksum, hexadecimal.
        md5: Published checksum, hexadecimal.
        size: Published size in bytes.

    Returns:
        The target. It matches the published checksums. If none is published, it matches the SHA-256 of the first
        download, which is stored in `<target>.sha256`.

    Raises:
        UserError: When the file cannot be downloaded, does not match the checksum, or does not fit on the disk.
    """
    part = PartialFile(target)
    with locked(target):
        if target.exists():
            part.remove()  # left by a process that was killed just before the end
            problem = _problem(target, target, sha256, md5, size)
            if problem:
                msg = f"{target} {problem}; delete it to download it again"
                raise UserError(msg)
            return target
        with explain_full_disk(target):
            _receive(url, part, size, checked=bool(sha256 or md5))
            problem = _problem(part.path, target, sha256, md5, size)
            if problem:
                part.remove()
                msg = f"{url} {problem}; it was deleted; run again, and if the problem persists, do not use this source"
                raise UserError(msg)
            part.finish()
    return target


def _problem(path: Path, target: Path, sha256: str | None, md5: str | None, size: int | None) -> str | None:
    log.info("checking %s", path)
    problem = find_mismatch(path, sha256, md5, size)
    if problem or sha256 or md5:
        return problem
    return find_change(path, target)


def _receive(url: str, part: PartialFile, size: int | None, checked: bool) -> None:
    """Request the file again and again until the part is complete."""
    most, idle = part.size, 0  # bytes so far, and attempts since then without a new byte
    while True:
        try:
            _resume(url, part, size, checked)
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


def _resume(url: str, part: PartialFile, size: int | None, checked: bool) -> None:
    origin = _usable_origin(url, part, checked)
    offset = part.size if origin else 0
    if origin is not None and offset == origin.total:
        return
    with open_remote(url, offset, origin.validator if origin else None) as remote:
        if size is not None and remote.total not in (None, size):
            msg = (
                f"{url} has {remote.total} bytes, expected {size}: the file was replaced; look on the data set's "
                "home page for the one of that size"
            )
            raise UserError(msg)
        # Some servers ignore `If-Range` and send a range of a changed file.
        current = Origin(url, remote.total, remote.validator)
        if remote.offset and (remote.offset, current) != (offset, origin):
            part.remove()
            msg = "the file has changed since the download began"
            raise DroppedError(msg)
        if not remote.offset:
            part.restart(current)
        _append(remote, part)


def _usable_origin(url: str, part: PartialFile, checked: bool) -> Origin | None:
    """Origin of the bytes in a part; None if they are from elsewhere, too many, or a change could go unnoticed."""
    origin = part.origin
    if origin is None or origin.url != url:
        return None
    if not origin.validator and not checked:
        return None
    if part.size > (origin.total or part.size):
        return None
    return origin


def _append(remote: Remote, part: PartialFile) -> None:
    if remote.total is not None:
        check_space(part.path.parent, remote.total - remote.offset)
    with part.path.open("ab") as file, progress(part.target.name, remote.offset, remote.total) as advance:
        for chunk in remote.chunks():
            file.write(chunk)
            advance(len(chunk))
