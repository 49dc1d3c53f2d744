"""Download and unpack a public data set."""

import logging
from pathlib import Path

from segment.datasets.fetch.catalogue import PublicSet, notice
from segment.datasets.fetch.download import download
from segment.datasets.fetch.unpack import is_unpacked, unpack
from segment.errors import UserError

log = logging.getLogger(__name__)


def obtain(entry: PublicSet, folder: Path, accept_licence: bool) -> Path:
    """Download and unpack the files of a set that need no account. Files that exist already are not downloaded again.

    An archive may be deleted once it is unpacked.

    Args:
        entry: The set.
        folder: The set's folder.
        accept_licence: Whether the user has read and accepts the licence.

    Returns:
        The folder.

    Raises:
        UserError: When the licence requires consent that was not given, no file can be downloaded without an account,
            or `download` or `unpack` fails.
    """
    log.info("%s", notice(entry))
    if not entry.files:
        msg = (
            f"{entry.title} cannot be downloaded without an account: follow the steps above, then pass the folder as "
            "data.sources.<set>.root=<folder>"
        )
        raise UserError(msg)
    if entry.consent and not accept_licence:
        msg = f"{entry.title} may be used under the licence above only; read it, then give accept_licence=true"
        raise UserError(msg)
    for files in entry.files:
        for file in files.each():
            archive = folder / file.name
            if file.unpacks_to is None:
                download(file.url, archive, file.sha256, file.md5, file.size)
            elif not is_unpacked(folder / file.unpacks_to, archive.name):
                download(file.url, archive, file.sha256, file.md5, file.size)
                unpack(archive, folder / file.unpacks_to, int(entry.max_unpacked_gb * 1e9))
    return folder
