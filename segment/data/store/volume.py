"""Preprocessed volumes on disk: compressed, with random access to patches and checksums of all files."""

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

FOREGROUND_VOXELS = 4096  # stored per organ, to place patches around them
CHECKSUMS = "sums.json"  # BLAKE2b of every other file
TISSUE = "tissue"  # name of the file of a tissue map
CHUNKS, BLOCKS = (64, 64, 64), (32, 32, 32)
# LZ4 reads a patch several times faster than blosc2's default codec and needs a fifth more space. One thread suffices,
# because several worker processes read patches at once.
COMPRESSION = {"codec": blosc2.Codec.LZ4, "clevel": 5, "nthreads": 1}


@dataclass(frozen=True)
class StoredVolume:
    """A preprocessed volume on disk.

    Every access opens the file, which takes a tenth of a millisecond. So neither memory nor the number of open files
    grows with the number of cases, and a volume can be pickled.

    Attributes:
        id: The case's id.
        folder: The folder of its files.
    """

    id: str
    folder: Path

    @property
    def image(self) -> blosc2.NDArray:
        """(I,J,K) float16. A slice decompresses only the blocks that it needs."""
        return self._open("image")

    @property
    def label(self) -> blosc2.NDArray:
        """(I,J,K) uint8 class indices."""
        return self._open("label")

    @property
    def tissue(self) -> blosc2.NDArray | None:
        """(I,J,K) uint8 codes of `segment.phantom.tissues`; None if the case has no tissue map."""
        return self._open(TISSUE) if (self.folder / f"{TISSUE}.b2nd").exists() else None

    @property
    def foreground(self) -> np.ndarray:
        """Up to `FOREGROUND_VOXELS` random voxels of each class, as rows (class, i, j, k), int16."""
        voxels: np.ndarray = np.load(self.folder / "foreground.npy")
        return voxels

    @cached_property
    def meta(self) -> dict[str, Any]:
        """Metadata of the volume.

        `affine` (4×4), `classes` that occur, `annotated` per class, the CT's `voxel_hash`, the image's `minimum`,
        `places` of the organs on the CT's own grid (`Structure`), and `case`, the id of the case that was prepared.
        """
        return dict(json.loads((self.folder / "meta.json").read_text(encoding="utf-8")))

    @property
    def identity(self) -> dict[str, Any]:
        """Everything that determines it (`segment.data.store.fingerprint`); some kilobytes, so it is not cached."""
        return dict(json.loads((self.folder / "identity.json").read_text(encoding="utf-8")))

    def touch(self) -> None:
        """Set the time of its folder to now, so that it is not pruned."""
        with suppress(OSError):  # the store is read-only
            os.utime(self.folder)

    def is_intact(self) -> bool:
        """Whether the checksums of all files are correct. This reads every file."""
        try:
            expected = json.loads((self.folder / CHECKSUMS).read_text(encoding="utf-8"))
            return all(_checksum((self.folder / name).read_bytes()) == checksum for name, checksum in expected.items())
        except (OSError, ValueError):
            return False

    def _open(self, name: str) -> blosc2.NDArray:
        path = str(self.folder / f"{name}.b2nd")
        return blosc2.open(path, mode="r", mmap_mode="r", dparams={"nthreads": 1})


def write_volume(volume: Volume, meta: Mapping[str, Any], identity: Mapping[str, Any], folder: Path) -> None:
    """Write a volume, its label and its tissue map, if there is one, into a folder, atomically.

    Args:
        volume: Image, label and tissue map.
        meta: Values of `StoredVolume.meta` that do not follow from the volume.
        identity: `StoredVolume.identity`.
        folder: The folder. If it exists, because another process was faster, it is not changed.

    Raises:
        OSError: When it cannot be written.
    """
    assert volume.label is not None  # the store holds cases with labels only
    image = volume.image[0].numpy().astype(np.float16)
    label = volume.label[0].numpy()
    voxels = _foreground(label)
    meta = {
        "affine": volume.affine.tolist(),
        "classes": np.unique(voxels[:, 0]).tolist(),
        **meta,
        "minimum": float(image.min()),
    }
    files = {
        "image.b2nd": _compressed(image),
        "label.b2nd": _compressed(label),
        "foreground.npy": _npy(voxels),
        "meta.json": json.dumps(meta).encode(),
        "identity.json": json.dumps(identity).encode(),
    }
    if volume.tissue is not None:
        files[f"{TISSUE}.b2nd"] = _compressed(volume.tissue[0].numpy())
    files[CHECKSUMS] = json.dumps({name: _checksum(content) for name, content in files.items()}).encode()
    try:
        with atomic_write(folder) as temporary:
            temporary.mkdir()
            for name, content in files.items():
                (temporary / name).write_bytes(content)
    except OSError:
        if not folder.is_dir():  # otherwise another process has written the same content
            raise
    # Remove the temporary folders of this volume that killed processes left. A process that is still writing to one of
    # them fails, but the volume exists then.
    for temporary in folder.parent.glob(f".*.{folder.name}"):
        shutil.rmtree(temporary, ignore_errors=True)


def discard(folder: Path, unless_intact: bool = False) -> None:
    """Remove a stored volume. It is renamed first, so another process never reads an incomplete one.

    Args:
        folder: The volume's folder.
        unless_intact: Whether to restore the volume if its checksums are correct. This happens if another process has
            found the damage and replaced the volume in the meantime.
    """
    temporary = folder.with_name(f".{uuid4().hex[:8]}.{folder.name}")
    try:
        folder.rename(temporary)
    except OSError:  # another process was faster, or the store is read-only
        return
    if unless_intact and StoredVolume("", temporary).is_intact():
        with suppress(OSError):  # another process has written the volume again
            temporary.rename(folder)
            return
    shutil.rmtree(temporary, ignore_errors=True)


def _compressed(array: np.ndarray) -> bytes:
    # Compressed in memory, because the error of blosc2 for a full disk states no reason.
    chunks = tuple(np.minimum(CHUNKS, array.shape).tolist())
    blocks = tuple(np.minimum(BLOCKS, chunks).tolist())
    frame: bytes = blosc2.asarray(array, chunks=chunks, blocks=blocks, cparams=COMPRESSION).to_cframe()
    return frame


def _npy(array: np.ndarray) -> bytes:
    file = io.BytesIO()
    np.save(file, array)
    return file.getvalue()


def _checksum(content: bytes) -> str:
    return blake2b(content, digest_size=16).hexdigest()


def _foreground(label: np.ndarray) -> np.ndarray:
    """Random voxels of each class, as `StoredVolume.foreground`."""
    rng = np.random.default_rng(0)  # fixed, so that the same volume always gets the same voxels
    rows = [np.empty((0, 4), dtype=np.int16)]
    for index in np.unique(label[label > 0]):
        found = np.flatnonzero(label == index)
        if len(found) > FOREGROUND_VOXELS:
            found = rng.choice(found, FOREGROUND_VOXELS, replace=False)
        positions = np.stack(np.unravel_index(found, label.shape), axis=1)
        rows.append(np.insert(positions, 0, index, axis=1).astype(np.int16))
    return np.concatenate(rows)
