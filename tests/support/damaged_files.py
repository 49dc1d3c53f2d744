"""Small CTs in every format, and damage to their files that depends on a seed only."""

import gzip
import shutil
import struct
from dataclasses import dataclass
from pathlib import Path

import nibabel as nib
import numpy as np
import SimpleITK
from dicom_files import AXIAL, slice_file, write
from pydicom.uid import RLELossless

SHAPE = (14, 12, 8)
AFFINE = np.array([[-2.0, 0, 0, 14.5], [0, 1.5, 0, -11.25], [0, 0, 4.0, 100.5], [0, 0, 0, 1]])
NAMES = {
    "nii": "a.nii",
    "nii.gz": "a.nii.gz",
    "nii.gz, repacked": "a.nii.gz",  # the damage is inside, and the checksum is right again
    "nii, version 2": "a.nii",
    "nrrd": "a.nrrd",
    "nrrd, gzip": "a.nrrd",
    "mha": "a.mha",
    "mha, zlib": "a.mha",
    "dicom": "a",
    "dicom, RLE": "a",
}
COMPRESSED = ("nii.gz", "nrrd, gzip", "mha, zlib")
HEADER_BYTES = {"nii": 348, "nii.gz, repacked": 348, "nii, version 2": 540, "nii.gz": 30}
# Replacements of a number in a binary header: zero, signs, extremes, NaN and infinity.
NUMBERS = [
    *(struct.pack("<h", n) for n in (0, 1, -1, 2, 7, 1000, 32767, -32768)),
    *(struct.pack("<i", n) for n in (0, 1, -1, 50_000, 2**31 - 1, -(2**31))),
    *(struct.pack("<f", x) for x in (0.0, -1.0, 1e-30, 1e30, float("nan"), float("inf"))),
]


@dataclass(frozen=True)
class Damage:
    """A damaged file, or a series with a damaged slice.

    Attributes:
        format: Key of `NAMES`.
        kind: What was done.
        place: `header` or `body`.
        at: Offset of the damage in the (unpacked) file.
        path: What to read.
    """

    format: str
    kind: str
    place: str
    at: int
    path: Path

    def __str__(self) -> str:
        return f"{self.format}, {self.kind} in the {self.place} at byte {self.at}"


def hu() -> np.ndarray:
    """(I,J,K) int16: a body with noise in air."""
    values = np.full(SHAPE, -1000, np.int16)
    values[2:-2, 2:-2] = 40
    return values + np.random.default_rng(0).integers(-20, 20, SHAPE, np.int16)


def write_originals(folder: Path) -> dict[str, Path]:
    """Write the same CT in every format; returns what to read, by format."""
    paths = {name: folder / str(number) / file for number, (name, file) in enumerate(NAMES.items())}
    for path in paths.values():
        path.parent.mkdir(parents=True, exist_ok=True)
    for name, image_class in (("nii", nib.Nifti1Image), ("nii, version 2", nib.Nifti2Image)):
        image = image_class(hu(), AFFINE)
        image.set_sform(AFFINE, 1)
        image.set_qform(AFFINE, 1)
        image.header.set_xyzt_units("mm")
        nib.save(image, paths[name])
    for name in ("nii.gz", "nii.gz, repacked"):
        paths[name].write_bytes(gzip.compress(paths["nii"].read_bytes(), mtime=0))
    volume = SimpleITK.GetImageFromArray(hu().T)
    volume.SetSpacing((2.0, 1.5, 4.0))
    volume.SetOrigin((-14.5, 11.25, 100.5))
    volume.SetDirection((1.0, 0, 0, 0, -1.0, 0, 0, 0, 1.0))
    for name in ("nrrd", "mha"):
        SimpleITK.WriteImage(volume, str(paths[name]))
        SimpleITK.WriteImage(volume, str(paths[f"{name}, {'gzip' if name == 'nrrd' else 'zlib'}"]), useCompression=True)
    for name in ("dicom", "dicom, RLE"):
        for k in range(SHAPE[2]):
            stored = np.ascontiguousarray((hu()[:, :, k] + 1024).T)
            header = slice_file((-14.5, 11.25, 100.5 + 4 * k), AXIAL, stored, (1.5, 2.0), InstanceNumber=k + 1)
            syntax = {} if name == "dicom" else {"syntax": RLELossless}
            write(paths[name] / f"{k:03d}.dcm", header, **syntax)
    return paths


def damaged(originals: dict[str, Path], seed: int, number: int, folder: Path) -> Damage:
    """Write damaged file `number` into a folder: a pure function of originals, seed and number."""
    rng = np.random.default_rng((seed, number))
    name = list(NAMES)[number % len(NAMES)]
    path = folder / NAMES[name]
    folder.mkdir(parents=True)
    if originals[name].is_dir():
        shutil.copytree(originals[name], path)
        file = path / f"{rng.integers(SHAPE[2]):03d}.dcm"
        content = file.read_bytes()
    else:
        file, content = path, originals[name].read_bytes()
    if name == "nii.gz, repacked":
        content = gzip.decompress(content)
    place = "header" if rng.random() < 0.6 else "body"
    border = _header_bytes(name, content)
    low, high = (0, border) if place == "header" else (border, len(content))
    kind, at, content = _damage(content, low, high, rng)
    file.write_bytes(gzip.compress(content, mtime=0) if name == "nii.gz, repacked" else content)
    return Damage(name, kind, place, at, path)


def _header_bytes(name: str, content: bytes) -> int:
    """Where the header of a file ends."""
    if name in HEADER_BYTES:
        return HEADER_BYTES[name]
    marks = {"nrrd": b"\n\n", "mha": b"ElementDataFile = LOCAL\n", "dicom": b"\xe0\x7f\x10\x00"}
    mark = marks[name.partition(",")[0]]
    return content.index(mark) + len(mark)


def _damage(content: bytes, low: int, high: int, rng: np.random.Generator) -> tuple[str, int, bytes]:
    """Damage the bytes from `low` to `high`; returns what was done, where, and the result, which always differs."""
    at = int(rng.integers(low, high))
    length = int(rng.integers(1, 1 + min(64, high - at)))
    junk = rng.integers(0, 256, length, np.uint8).tobytes()
    number = NUMBERS[rng.integers(len(NUMBERS))]
    flipped = bytes([content[at] ^ (1 << int(rng.integers(8)))])
    choices = {
        "a bit flipped": content[:at] + flipped + content[at + 1 :],
        "another byte": content[:at] + bytes([(content[at] + int(rng.integers(1, 256))) % 256]) + content[at + 1 :],
        "a digit replaced": _other_digit(content, low, high, rng),
        "bytes replaced": content[:at] + junk + content[at + length :],
        "a number replaced": content[:at] + number + content[at + len(number) :],
        "bytes removed": content[:at] + content[at + length :],
        "bytes inserted": content[:at] + junk + content[at:],
        "truncated": content[:at],
        "bytes added at the end": content + junk,
        "zeros": content[:at] + bytes(length) + content[at + length :],
    }
    names = [kind for kind, result in choices.items() if result != content]
    kind = names[rng.integers(len(names))]
    return kind, at, choices[kind]


def _other_digit(content: bytes, low: int, high: int, rng: np.random.Generator) -> bytes:
    """The content with one digit of text replaced by another."""
    digits = [n for n in range(low, high) if content[n : n + 1].isdigit()]
    if not digits:
        return content
    at = digits[rng.integers(len(digits))]
    other = b"0123456789"[(content[at] - 48 + int(rng.integers(1, 10))) % 10]
    return content[:at] + bytes([other]) + content[at + 1 :]
