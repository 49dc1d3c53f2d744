"""Volumes preprocessed once, compressed on disk, with random access to patches.

A volume lies in `<root>/<fingerprint>/`; see `segment.data.fingerprint`: a changed file or option never meets a stale
volume, and runs share what is equal. A folder appears only when it is complete (written aside, flushed, then renamed),
so an interrupted preparation goes on, and several processes may fill the store at once.
"""

import json
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import blosc2
import numpy as np
import torch
import torchio as tio
from rich.console import Console
from rich.progress import track
from torch.utils.data import DataLoader, Dataset

from segment.data.annotation import annotated
from segment.data.cases import Case
from segment.data.fingerprint import fingerprint, voxel_hash
from segment.data.preprocess import Volume, preprocess
from segment.data.scan import read_ct
from segment.errors import UserError
from segment.files import written_aside

FOREGROUND_VOXELS = 4096  # remembered per organ, for drawing patches around them
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
        """`affine` (4×4), `classes` present, `annotated` per class, the CT's `voxel_hash`, the image's `minimum`."""
        return dict(json.loads((self.folder / "meta.json").read_text(encoding="utf-8")))

    def _open(self, name: str) -> blosc2.NDArray:
        path = str(self.folder / f"{name}.b2nd")
        return blosc2.open(path, mode="r", mmap_mode="r", dparams={"nthreads": 1})


class Store:
    """Fills and opens a store.

    Args:
        root: Folder of the store; runs may share it.
        transform: Preprocessing.
        organs: Class i is organs[i-1].
    """

    def __init__(self, root: Path, transform: tio.Transform, organs: Sequence[str]) -> None:
        self.root = root
        self.transform = transform
        self.organs = list(organs)

    def prepare(self, cases: Sequence[Case], num_workers: int = 0) -> dict[str, StoredVolume]:
        """Preprocess what is missing and return every case's volume by its id.

        Raises:
            UserError: When cases cannot be used; all of them are named, after the others are done.
        """
        # A generator of its own: a loader draws from torch's global one, even without workers.
        loader = DataLoader(
            _Preparation(self, cases), batch_size=None, num_workers=num_workers, generator=torch.Generator()
        )
        ready: dict[str, StoredVolume] = {}
        failed: list[str] = []
        results = iter(loader)  # starts the workers, before the bar starts a thread
        bar = track(results, "preparing volumes", len(cases), transient=True, console=Console(stderr=True))
        for case, result in zip(cases, bar, strict=True):
            if isinstance(result, Path):
                ready[case.id] = StoredVolume(case.id, result)
            else:
                failed.append(f"{case.id}: {result}")
        if failed:
            count = f"{len(failed)} of {len(cases)} cases cannot be used:\n  " if len(failed) > 1 else ""
            raise UserError(count + "\n  ".join(failed))
        return ready

    def add(self, case: Case) -> Path:
        """Preprocess one case unless it is there, and return its folder.

        Raises:
            UserError: When the case cannot be used, or the volume cannot be written.
        """
        folder = self.root / fingerprint(case, self.transform, self.organs)
        if not folder.is_dir():
            scan = read_ct(case.image)
            volume = preprocess(self.transform, scan, case.label.read(scan, case.image, self.organs))
            facts = {"annotated": annotated(case.label, self.organs), "voxel_hash": voxel_hash(scan.data)}
            try:
                _write(volume, facts, folder)
            except OSError as error:
                msg = f"cannot write to the store {self.root}: {error.strerror}; free space or choose another cache_dir"
                raise UserError(msg) from error
        return folder


class _Preparation(Dataset[Path | str]):
    """Lets a DataLoader's workers prepare cases, in order; an error becomes its text."""

    def __init__(self, store: Store, cases: Sequence[Case]) -> None:
        self.store = store
        self.cases = cases

    def __len__(self) -> int:
        return len(self.cases)

    def __getitem__(self, index: int) -> Path | str:
        try:
            return self.store.add(self.cases[index])
        except UserError as error:
            return str(error)
        except (RuntimeError, ArithmeticError) as error:  # a transform that cannot take this CT
            return f"preprocessing failed: {error}; look at the CT {self.cases[index].image}"


def _write(volume: Volume, facts: Mapping[str, Any], folder: Path) -> None:
    assert volume.label is not None  # the store holds training cases
    image, label = volume.image[0].numpy().astype(np.float16), volume.label[0].numpy()
    voxels = _foreground(label)
    meta = {
        "affine": volume.affine.tolist(),
        "classes": np.unique(voxels[:, 0]).tolist(),
        **facts,
        "minimum": float(image.min()),
    }
    try:
        with written_aside(folder) as aside:
            aside.mkdir()
            (aside / "image.b2nd").write_bytes(_compressed(image))
            (aside / "label.b2nd").write_bytes(_compressed(label))
            np.save(aside / "foreground.npy", voxels)
            (aside / "meta.json").write_text(json.dumps(meta), encoding="utf-8")
    except OSError:
        if not folder.is_dir():  # else another process was first, with the same content
            raise
    # What killed processes left of this volume. One that still writes there finds the folder in place.
    for left in folder.parent.glob(f".*.{folder.name}"):
        shutil.rmtree(left, ignore_errors=True)


def _compressed(array: np.ndarray) -> bytes:
    # Through memory, because blosc2 reports a full disk as an error without a reason.
    chunks = tuple(min(c, n) for c, n in zip(CHUNKS, array.shape, strict=True))
    blocks = tuple(min(b, c) for b, c in zip(BLOCKS, chunks, strict=True))
    frame: bytes = blosc2.asarray(array, chunks=chunks, blocks=blocks, cparams=COMPRESSION).to_cframe()
    return frame


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
