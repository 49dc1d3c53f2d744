"""Check that a file holds as many voxels as its header states, and the checksum of compressed ones.

ITK checks neither: it reads other voxels from a damaged gzip or zlib stream without an error, and ignores what follows
the voxels. Streams are unpacked in blocks and thrown away, so a file that unpacks to terabytes takes no memory.
"""

import math
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import BinaryIO

from segment.errors import UserError

BLOCK = 1 << 20
# Some writers fill the last block of a file with zeros.
PADDING = 512
_GZIP, _ZLIB = 16 + zlib.MAX_WBITS, zlib.MAX_WBITS
_NRRD_BYTES = {
    **dict.fromkeys(("signed char", "int8", "int8_t", "uchar", "unsigned char", "uint8", "uint8_t"), 1),
    **dict.fromkeys(("short", "short int", "signed short", "signed short int", "int16", "int16_t"), 2),
    **dict.fromkeys(("ushort", "unsigned short", "unsigned short int", "uint16", "uint16_t"), 2),
    **dict.fromkeys(
        ("int", "signed int", "int32", "int32_t", "uint", "unsigned int", "uint32", "uint32_t", "float"), 4
    ),
    **dict.fromkeys(("longlong", "long long", "int64", "int64_t", "ulonglong", "uint64", "uint64_t", "double"), 8),
}
_MET_BYTES = {
    **dict.fromkeys(("MET_CHAR", "MET_UCHAR"), 1),
    **dict.fromkeys(("MET_SHORT", "MET_USHORT"), 2),
    **dict.fromkeys(("MET_INT", "MET_UINT", "MET_FLOAT"), 4),
    **dict.fromkeys(("MET_LONG_LONG", "MET_ULONG_LONG", "MET_DOUBLE"), 8),
}


def check_nrrd_size(path: Path, fields: Mapping[str, str], start: int) -> None:
    """Check an NRRD file with its voxels after the header, stored raw or by gzip. Others are left to ITK.

    Args:
        path: The file.
        fields: Fields of its header, by name in lower case.
        start: Where its voxels begin.

    Raises:
        UserError: When its size or checksum contradicts its header.
    """
    if {"data file", "datafile", "byte skip", "byteskip", "line skip", "lineskip"} & fields.keys():
        return
    expected = _product(fields.get("sizes", "")) * _NRRD_BYTES.get(fields.get("type", "").lower(), 0)
    encoding = fields.get("encoding", "").lower()
    if encoding in ("raw", "gzip", "gz"):
        _check(path, start, expected, None if encoding == "raw" else _GZIP)


def check_metaimage_size(path: Path, fields: Mapping[str, str], start: int) -> None:
    """Check a MetaImage file with its voxels after the header; arguments and errors as `check_nrrd_size`."""
    if fields.get("headersize", "0") != "0" or fields.get("binarydata", "true").lower() != "true":
        return
    channels = int(fields.get("elementnumberofchannels", 1))
    expected = _product(fields.get("dimsize", "")) * channels * _MET_BYTES.get(fields.get("elementtype", "").upper(), 0)
    is_compressed = fields.get("compresseddata", "false").lower() == "true"
    _check(path, start, expected, _ZLIB if is_compressed else None)


def check_end(path: Path, rest: bytes) -> None:
    """Refuse a file whose header states fewer voxels than it holds.

    Args:
        path: The file.
        rest: What follows the voxels, or more than `PADDING` bytes of it.

    Raises:
        UserError: When this is more than padding.
    """
    if len(rest) > PADDING or any(rest):
        msg = (
            f"cannot read {path}: it holds more voxels than its header states, so one of them is damaged; copy or "
            "download it again"
        )
        raise UserError(msg)


def _check(path: Path, start: int, expected: int, compression: int | None) -> None:
    if expected == 0:  # a type that is unknown here
        return
    with path.open("rb") as file:
        file.seek(start)
        found, rest = _count(file, expected) if compression is None else _unpack(path, file, expected, compression)
    if found < expected:
        msg = (
            f"cannot read {path}: its header states {expected} bytes of voxels, and it holds {found}; copy or download "
            "it again"
        )
        raise UserError(msg)
    check_end(path, rest)


def _count(file: BinaryIO, expected: int) -> tuple[int, bytes]:
    """Number of bytes up to the expected one, and what follows."""
    start = file.tell()
    size = file.seek(0, 2) - start
    file.seek(start + min(size, expected))
    return min(size, expected), file.read(PADDING + 1)


def _unpack(path: Path, file: BinaryIO, expected: int, compression: int) -> tuple[int, bytes]:
    """As `_count`, for a compressed stream, whose checksum zlib compares at its end."""
    unpacker, found, rest = zlib.decompressobj(compression), 0, b""
    try:
        while not unpacker.eof and len(rest) <= PADDING:
            block = unpacker.unconsumed_tail or file.read(BLOCK)
            if not block:
                break
            part = unpacker.decompress(block, BLOCK)
            rest += part[max(0, expected - found) :]
            found += len(part)
    except zlib.error as error:
        msg = f"cannot read {path}: its compressed voxels are damaged ({error}); copy or download it again"
        raise UserError(msg) from error
    if len(rest) <= PADDING and not unpacker.eof:
        msg = f"cannot read {path}: its compressed voxels end too early; copy or download it again"
        raise UserError(msg)
    return min(found, expected), rest


def _product(sizes: str) -> int:
    return math.prod(int(size) for size in sizes.split()) if sizes else 0
