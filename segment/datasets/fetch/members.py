"""What an archive holds, one way for zip and tar."""

import errno
import gzip
import lzma
import stat
import tarfile
import zipfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import IO, NoReturn

from segment.errors import UserError

TAR = (".tar", ".tar.gz", ".tgz")
JUNK = ("__MACOSX", ".DS_Store")  # and ._*: what a Mac adds
DAMAGE = (zipfile.BadZipFile, tarfile.TarError, gzip.BadGzipFile, zlib.error, lzma.LZMAError, EOFError)
ROOT = "data.sources.<set>.root=<folder>"
ENCRYPTED = 1  # bit of a zip member's flags


@dataclass(frozen=True)
class Member:
    """A file in an archive.

    Attributes:
        name: Its path, checked to lie below the folder that is unpacked to.
        size: Bytes that it claims to have.
        stream: Its content; to be read before the next member is asked for. It ends after `size` bytes; zipfile and
            tarfile see to it that it neither goes on nor ends before.
    """

    name: PurePosixPath
    size: int
    stream: IO[bytes]


def members(archive: Path) -> Iterator[Member]:
    """The files in an archive, without what a Mac adds; folders are left out.

    Raises:
        UserError: When it is of another kind than zip, tar and tar.gz, encrypted, or holds a link, a device, or a path
            that leads out of the folder.
        One of `DAMAGE`, or an OSError that `is_damage` tells: When it is damaged or cut off.
    """
    if archive.name.endswith(".zip"):
        found = _zip_members(archive)
    elif archive.name.endswith(TAR):
        found = _tar_members(archive)
    else:
        msg = f"{archive} is neither .zip nor {', '.join(TAR)}; unpack it by hand and name its folder by {ROOT}"
        raise UserError(msg)
    return found


def is_damage(error: OSError) -> bool:
    """Whether the archive is to blame, not the disk: bzip2's decoder gives no number, and no true name is too long."""
    return error.errno in (None, errno.ENAMETOOLONG)


def _zip_members(archive: Path) -> Iterator[Member]:
    with zipfile.ZipFile(archive) as file:
        for info in file.infolist():
            name = _checked(archive, info.filename)
            kind = stat.S_IFMT(info.external_attr >> 16)  # 0 where the archive was not made on Unix
            if kind not in (0, stat.S_IFREG, stat.S_IFDIR):
                _refuse(archive, info.filename, "a link or device")
            if info.is_dir() or _is_junk(name):
                continue
            if info.flag_bits & ENCRYPTED:
                msg = f"{archive} is encrypted; unpack it by hand with its password and name the folder by {ROOT}"
                raise UserError(msg)
            try:
                stream = file.open(info)
            except NotImplementedError as error:
                _refuse(archive, info.filename, f"a file compressed in a way that is not known ({error})")
            with stream:
                yield Member(name, info.file_size, stream)


def _tar_members(archive: Path) -> Iterator[Member]:
    with archive.open("rb") as raw, _inflated(archive, raw) as plain, tarfile.open(fileobj=plain, mode="r:") as file:
        for info in file:
            name = _checked(archive, info.name)
            if info.isfile() and not _is_junk(name):
                stream = file.extractfile(info)
                if stream is not None:  # never so for files
                    yield Member(name, info.size, stream)
            elif not (info.isfile() or info.isdir()):
                _refuse(archive, info.name, "a link or device")
        # tarfile takes a cut between two members for the end.
        if plain.tell() < file.offset + tarfile.BLOCKSIZE:
            msg = "the end is missing"
            raise tarfile.ReadError(msg)
        while plain.read(2**20):  # gzip's checksum stands at the very end
            pass


def _inflated(archive: Path, raw: IO[bytes]) -> IO[bytes] | gzip.GzipFile:
    return raw if archive.name.endswith(".tar") else gzip.GzipFile(fileobj=raw)


def _checked(archive: Path, name: str) -> PurePosixPath:
    path = PurePosixPath(name)
    if path.is_absolute() or ".." in path.parts or set(name) & {"\\", ":", "\0"}:
        _refuse(archive, name, "a path that may lead out of its folder")
    return path


def _refuse(archive: Path, name: str, what: str) -> NoReturn:
    msg = f"{archive} holds {what}: {name!r}; nothing of it was kept: do not use this archive"
    raise UserError(msg)


def _is_junk(name: PurePosixPath) -> bool:
    return any(part in JUNK or part.startswith("._") for part in name.parts)
