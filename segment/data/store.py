"""Volumes preprocessed once, compressed on disk, with random access to patches.

A volume lies in `<root>/<key>/`, where the key is a hash of the files' content, the label map, the preprocessing and
`VERSION`: a changed file or option never meets a stale volume, and runs share what is equal. A folder appears only
when it is complete (written aside, then renamed), so an interrupted preparation goes on, and two processes may fill
the store at once.
"""

import json
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from hashlib import blake2b
from pathlib import Path
from typing import Any
from uuid import uuid4

import blosc2
import numpy as np
import torchio as tio
from torch.utils.data import DataLoader, Dataset

from segment.data.cases import Case
from segment.data.labels import LabelMap
from segment.data.preprocess import Volume, preprocess
from segment.data.scan import check_same_grid, read_ct, read_label
from segment.errors import UserError

VERSION = 1  # raise it when preprocessing code changes what it computes
FOREGROUND_VOXELS = 4096  # remembered per organ, for drawing patches around them
CHUNKS, BLOCKS = (64, 64, 64), (32, 32, 32)


@dataclass(frozen=True)
class StoredVolume:
    """A preprocessed volume on disk; opening it reads nothing but headers.

    Attributes:
        id: The case's id.
        folder: Where it lies.
    """

    id: str
    folder: Path

    @cached_property
    def image(self) -> blosc2.NDArray:
        """(I,J,K) float16; slices decompress only what they touch."""
        return blosc2.open(str(self.folder / "image.b2nd"), mode="r")

    @cached_property
    def label(self) -> blosc2.NDArray:
        """(I,J,K) uint8 class indices."""
        return blosc2.open(str(self.folder / "label.b2nd"), mode="r")

    @cached_property
    def foreground(self) -> dict[int, np.ndarray]:
        """For each class present, up to `FOREGROUND_VOXELS` of its voxels, (N,3) int16."""
        with np.load(self.folder / "foreground.npz") as arrays:
            return {int(name): arrays[name] for name in arrays.files}

    @cached_property
    def meta(self) -> dict[str, Any]:
        """`affine` (4×4), `voxel_hash` of the CT as read, `minimum` of the image."""
        return dict(json.loads((self.folder / "meta.json").read_text()))


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
        loader = DataLoader(_Preparation(self, cases), batch_size=None, num_workers=num_workers)
        ready: dict[str, StoredVolume] = {}
        failed: list[str] = []
        for case, result in zip(cases, loader, strict=True):
            if isinstance(result, Path):
                ready[case.id] = StoredVolume(case.id, result)
            else:
                failed.append(f"{case.id}: {result}")
        if failed:
            count = f"{len(failed)} of {len(cases)} cases cannot be used:\n  " if len(failed) > 1 else ""
            raise UserError(count + "\n  ".join(failed))
        return ready

    def add(self, case: Case) -> Path:
        """Preprocess one case unless it is there, and return its folder."""
        folder = self.root / self._key(case)
        if not (folder / "meta.json").exists():
            scan, label = read_ct(case.image), read_label(case.label)
            check_same_grid(scan, label, case.image, case.label)
            classes = LabelMap(case.label_codes, self.organs).to_classes(label.data, source=str(case.label))
            volume = preprocess(self.transform, scan, classes)
            _write(volume, voxel_hash(scan.data), folder)
        return folder

    def _key(self, case: Case) -> str:
        facts = {
            "version": VERSION,
            "organs": self.organs,
            "label_codes": dict(case.label_codes),
            "transform": self.transform.to_hydra_config(),
        }
        digest = blake2b(json.dumps(facts, sort_keys=True, default=str).encode(), digest_size=16)
        for path in (case.image, case.label):
            with path.open("rb") as file:
                while block := file.read(1 << 20):
                    digest.update(block)
            digest.update(path.name.removeprefix(path.name.split(".")[0]).encode())  # the format, not the name
        return digest.hexdigest()


class _Preparation(Dataset[Path | str]):
    """Lets a DataLoader's workers prepare cases, in order."""

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


def voxel_hash(data: np.ndarray) -> str:
    """Hash of a CT's voxels, whatever file, compression or orientation of storage they came in.

    The sorted extent and the histogram of HU stay the same under any of the 48 orientations; two different CTs
    sharing both do not occur in practice.
    """
    if np.issubdtype(data.dtype, np.integer):
        low = int(data.min())
        counts = np.bincount((data.astype(np.int64) - low).ravel())  # a sort of 512×512×300 voxels takes seconds
        values = np.flatnonzero(counts) + low
        counts = counts[counts > 0]
    else:
        values, counts = np.unique(data, return_counts=True)
    digest = blake2b(json.dumps(sorted(data.shape)).encode(), digest_size=16)
    digest.update(np.asarray(values, dtype="<f4").tobytes())
    digest.update(np.asarray(counts, dtype="<i8").tobytes())
    return digest.hexdigest()


def _write(volume: Volume, content: str, folder: Path) -> None:
    assert volume.label is not None  # the store holds training cases
    image, label = volume.image[0].numpy().astype(np.float16), volume.label[0].numpy()
    aside = folder.with_name(f".{folder.name}.{uuid4().hex}")
    aside.mkdir(parents=True)
    try:
        for name, array in (("image", image), ("label", label)):
            chunks = tuple(min(c, n) for c, n in zip(CHUNKS, array.shape, strict=True))
            blocks = tuple(min(b, c) for b, c in zip(BLOCKS, chunks, strict=True))
            blosc2.asarray(array, chunks=chunks, blocks=blocks, urlpath=str(aside / f"{name}.b2nd"), mode="w")
        np.savez(aside / "foreground.npz", **_foreground(label))
        meta = {"affine": volume.affine.tolist(), "voxel_hash": content, "minimum": float(image.min())}
        (aside / "meta.json").write_text(json.dumps(meta))
        aside.rename(folder)
    except OSError:
        shutil.rmtree(aside, ignore_errors=True)
        if not (folder / "meta.json").exists():  # else another process was first, with the same content
            raise


def _foreground(label: np.ndarray) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(0)  # any fixed seed: the same volume gets the same index
    found: dict[str, np.ndarray] = {}
    for index in np.unique(label[label > 0]):
        voxels = np.argwhere(label == index).astype(np.int16)
        found[str(index)] = voxels[rng.permutation(len(voxels))[:FOREGROUND_VOXELS]]
    return found
