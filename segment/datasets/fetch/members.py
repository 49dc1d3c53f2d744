"""The files in an archive, with one interface for zip and tar."""

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
JUNK = ("__MACOSX", ".DS_Store")  # added by macOS, as are names that begin with ._
DAMAGE = (zipfile.BadZipFile, tarfile.TarError, gzip.BadGzipFile, zlib.error, lzma.LZMAError, EOFError)
ROOT = "data.sources.<set>.root=<folder>"
ENCRYPTED = 1  # bit of a zip member's flags


@dataclass(frozen=True)
class Member:
    """A file in an archive.

    Attributes:
        name: Its path, relative to the folder to unpack to. It is checked not to lead out of that folder.
        size: Its size in bytes according to the archive.
        stream: Its content, to be read before the next member is requested. zipfile and tarfile ensure that it has
            exactly `size` bytes.
    """

    name: PurePosixPath
    size: int
    stream: IO[bytes]


def members(archive: Path) -> Iterator[Member]:
    """Yield the files in an archive, without folders and without files that macOS adds.

    Raises:
        UserError: When the archive is not a zip, tar or tar.gz, is encrypted, or contains a link, a device, or a path
            that leads out of the folder.
        One of `DAMAGE`, or an OSError for which `is_damage` is true: When the archive is damaged or truncated.
    """
    if archive.name.endswith(".zip"):
        return _zip_members(archive)
    if archive.name.endswith(TAR):
        return _tar_members(archive)
    msg = f"{archive} is neither .zip nor {', '.join(TAR)}; unpack it by hand and pass its folder as {ROOT}"
    raise UserError(msg)


def is_damage(error: OSError) -> bool:
    """Whether an error means that the archive is damaged, not that the disk fails.

    The decoder of bzip2 raises an OSError without a number. A name that is too long can only come from damage.
    """
    return error.errno in (None, errno.ENAMETOOLONG)


def _zip_members(archive: Path) -> Iterator[Member]:
    with zipfile.ZipFile(archive) as file:
        for info in file.infolist():
            name = _checked(archive, info.filename)
            kind = stat.S_IFMT(info.external_attr >> 16)  # 0 if the archive was not made on Unix
            if kind not in (0, stat.S_IFREG, stat.S_IFDIR):
                _refuse(archive, info.filename, "a link or device")
            if info.is_dir() or _is_junk(name):
                continue
            if info.flag_bits & ENCRYPTED:
                msg = f"{archive} is encrypted; unpack it by hand with its password and pass the folder as {ROOT}"
                raise UserError(msg)
            try:
                stream = file.open(info)
            except NotImplementedError as error:
                _refuse(archive, info.filename, f"a file compressed in a way that is not supported ({error})")
            with stream:
                yield Member(name, info.file_size, stream)


def _tar_members(archive: Path) -> Iterator[Member]:
    with archive.open("rb") as raw, _inflated(archive, raw) as plain, tarfile.open(fileobj=plain, mode="r:") as file:
        for info in file:
            name = _checked(archive, info.name)
            if info.isfile() and not _is_junk(name):
                stream = file.extractfile(info)
                if stream is not None:  # always true for files
                    yield Member(name, info.size, stream)
            elif not (info.isfile() or info.isdir()):
                _refuse(archive, info.name, "a link or device")
        # To tarfile, an archive that is truncated between two members looks complete.
        if plain.tell() < file.offset + tarfile.BLOCKSIZE:
            msg = "the end is missing"
            raise tarfile.ReadError(msg)
        while plain.read(2**20):  # read to the end, where gzip has its checksum
            pass


def _inflated(archive: Path, raw: IO[bytes]) -> IO[bytes] | gzip.GzipFile:
    return raw if archive.name.endswith(".tar") else gzip.GzipFile(fileobj=raw)


def _checked(archive: Path, name: str) -> PurePosixPath:
    path = PurePosixPath(name)
    if path.is_absolute() or ".." in path.parts or set(name) & {"\\", ":", "\0"}:
        _refuse(archive, name, "a path that may lead out of its folder")
    return path


def _refuse(archive: Path, name: str, what: str) -> NoReturn:
    msg = f"{archive} holds {what}: {name!r}; nothing was kept: do not use this archive"
    raise UserError(msg)


def _is_junk(name: PurePosixPath) -> bool:
    return any(part in JUNK or part.startswith("._") for part in name.parts)
