"""A preprocessed volume on disk: compressed, with random access to patches, and able to tell whether it is intact."""

import io
import json
import os
import shutil
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from hashlib import blake2b
from pathlib import Path
from typing import Any
from uuid import uuid4

import blosc2
import numpy as np

from segment.files import atomic_write
from segment.preprocess.preprocess import Volume

FOREGROUND_VOXELS = 4096  # remembered per organ, for drawing patches around them
SUMS = "sums.json"  # BLAKE2b of every other file
CHUNKS, BLOCKS = (64, 64, 64), (32, 32, 32)
# LZ4 reads a patch several times faster than blosc2's default, for a fifth more space. One thread: patches are drawn
# by several processes already.
COMPRESSION = {"codec": blosc2.Codec.LZ4, "clevel": 5, "nthreads": 1}


@dataclass(frozen=True)
class StoredVolume:
    """A preprocessed volume on disk.

    Every access opens the file anew, which takes a tenth of a millisecond: neither memory nor open files grow with the
    number of cases, and a volume can be sent to another process.

    Attributes:
        id: The case's id.
        folder: Where it lies.
    """

    id: str
    folder: Path

    @property
    def image(self) -> blosc2.NDArray:
        """(I,J,K) float16; slices decompress only what they touch."""
        return self._open("image")

    @property
    def label(self) -> blosc2.NDArray:
        """(I,J,K) uint8 class indices."""
        return self._open("label")

    @property
    def foreground(self) -> np.ndarray:
        """Up to `FOREGROUND_VOXELS` voxels of each class, as rows (class, i, j, k), int16."""
        voxels: np.ndarray = np.load(self.folder / "foreground.npy")
        return voxels

    @cached_property
    def meta(self) -> dict[str, Any]:
        """What is known of the volume.

        `affine` (4×4), `classes` present, `annotated` per class, the CT's `voxel_hash`, the image's `minimum`;
        `places`, of the organs on the CT's own grid (`Place`); `case`, under whose id it was prepared first.
        """
        return dict(json.loads((self.folder / "meta.json").read_text(encoding="utf-8")))

    @property
    def identity(self) -> dict[str, Any]:
        """All that decides it (`segment.data.store.fingerprint`); some kilobytes, so read anew."""
        return dict(json.loads((self.folder / "identity.json").read_text(encoding="utf-8")))

    def touch(self) -> None:
        """Note that it is in use, for pruning."""
        with suppress(OSError):  # a store that may only be read
            os.utime(self.folder)

    def is_intact(self) -> bool:
        """Whether every file is as it was written; reads them all."""
        try:
            sums = json.loads((self.folder / SUMS).read_text(encoding="utf-8"))
            return all(_sum((self.folder / name).read_bytes()) == expected for name, expected in sums.items())
        except (OSError, ValueError):
            return False

    def _open(self, name: str) -> blosc2.NDArray:
        path = str(self.folder / f"{name}.b2nd")
        return blosc2.open(path, mode="r", mmap_mode="r", dparams={"nthreads": 1})


def write_volume(volume: Volume, facts: Mapping[str, Any], identity: Mapping[str, Any], folder: Path) -> None:
    """Write a volume with its label into a folder that appears when it is whole.

    Args:
        volume: Image and label.
        facts: Further values of `StoredVolume.meta`.
        identity: `StoredVolume.identity`.
        folder: Where; one that exists, because another process was first, is left as it is.

    Raises:
        OSError: When it cannot be written.
    """
    assert volume.label is not None  # the store holds training cases
    image, label = volume.image[0].numpy().astype(np.float16), volume.label[0].numpy()
    voxels = _foreground(label)
    meta = {
        "affine": volume.affine.tolist(),
        "classes": np.unique(voxels[:, 0]).tolist(),
        **facts,
        "minimum": float(image.min()),
    }
    files = {
        "image.b2nd": _compressed(image),
        "label.b2nd": _compressed(label),
        "foreground.npy": _npy(voxels),
        "meta.json": json.dumps(meta).encode(),
        "identity.json": json.dumps(identity).encode(),
    }
    files[SUMS] = json.dumps({name: _sum(content) for name, content in files.items()}).encode()
    try:
        with atomic_write(folder) as aside:
            aside.mkdir()
            for name, content in files.items():
                (aside / name).write_bytes(content)
    except OSError:
        if not folder.is_dir():  # else another process was first, with the same content
            raise
    # What killed processes left of this volume. One that still writes there finds the folder in place.
    for left in folder.parent.glob(f".*.{folder.name}"):
        shutil.rmtree(left, ignore_errors=True)


def discard(folder: Path, unless_intact: bool = False) -> None:
    """Remove a stored volume; no other process can meet half of it.

    Args:
        folder: The volume's.
        unless_intact: Put it back when it is intact after all: another process that found the damage, too, has mended
            it meanwhile.
    """
    aside = folder.with_name(f".{uuid4().hex[:8]}.{folder.name}")
    try:
        folder.rename(aside)
    except OSError:  # another process was first, or the store may only be read
        return
    if unless_intact and StoredVolume("", aside).is_intact():
        with suppress(OSError):  # the other one is there again
            aside.rename(folder)
            return
    shutil.rmtree(aside, ignore_errors=True)


def _compressed(array: np.ndarray) -> bytes:
    # Through memory, because blosc2 reports a full disk as an error without a reason.
    chunks = tuple(min(c, n) for c, n in zip(CHUNKS, array.shape, strict=True))
    blocks = tuple(min(b, c) for b, c in zip(BLOCKS, chunks, strict=True))
    frame: bytes = blosc2.asarray(array, chunks=chunks, blocks=blocks, cparams=COMPRESSION).to_cframe()
    return frame


def _npy(array: np.ndarray) -> bytes:
    file = io.BytesIO()
    np.save(file, array)
    return file.getvalue()


def _sum(content: bytes) -> str:
    return blake2b(content, digest_size=16).hexdigest()


def _foreground(label: np.ndarray) -> np.ndarray:
    rng = np.random.default_rng(0)  # any fixed seed: the same volume gets the same voxels
    rows = [np.empty((0, 4), dtype=np.int16)]
    for index in np.unique(label[label > 0]):
        found = np.flatnonzero(label == index)
        if len(found) > FOREGROUND_VOXELS:
            found = rng.choice(found, FOREGROUND_VOXELS, replace=False)
        positions = np.stack(np.unravel_index(found, label.shape), axis=1)
        rows.append(np.insert(positions, 0, index, axis=1).astype(np.int16))
    return np.concatenate(rows)
