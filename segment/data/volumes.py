"""Datasets of whole CTs: preprocessed volumes for validation, CTs on their own grids for the test."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
import torchio as tio
from torch.utils.data import Dataset, IterableDataset

from segment.data.scan_cache import ScanCache
from segment.data.store.volume import StoredVolume
from segment.datasets.annotation import known_classes
from segment.datasets.cases import Case
from segment.io.scan import Scan


class VolumeDataset(Dataset[tio.Subject]):
    """Whole preprocessed volumes without augmentation.

    A sample is a subject with `image` (1,I,J,K) float32, `label` (1,I,J,K) uint8, `annotated` (classes,) bool, and the
    case's `id`.
    """

    def __init__(self, volumes: Sequence[StoredVolume]) -> None:
        self.volumes = list(volumes)

    def __len__(self) -> int:
        return len(self.volumes)

    def __getitem__(self, index: int) -> tio.Subject:
        volume = self.volumes[index]
        image = volume.image[:][None].astype(np.float32)
        return tio.Subject(
            id=volume.id,
            image=tio.ScalarImage(tensor=torch.from_numpy(image)),
            label=tio.LabelMap(tensor=torch.from_numpy(volume.label[:][None])),
            annotated=torch.tensor(volume.meta["annotated"]),
        )


@dataclass(frozen=True)
class LabelledScan:
    """A CT and its reference on the CT's own grid.

    Attributes:
        id: The case's id.
        scan: The CT in HU.
        reference: Class indices (I,J,K) uint8.
        annotated: Whether the case annotates each class, background first.
    """

    id: str
    scan: Scan
    reference: np.ndarray
    annotated: Sequence[bool]


class ScanDataset(Dataset[LabelledScan]):
    """CTs on the grids of their files, on which test scores are computed.

    Args:
        cases: The cases.
        organs: Class i is organs[i-1].
        cache: CTs that may be in memory already; None: every CT is read from its file.
    """

    def __init__(self, cases: Sequence[Case], organs: Sequence[str], cache: ScanCache | None = None) -> None:
        self.cases = list(cases)
        self.organs = list(organs)
        self.cache = cache

    def __len__(self) -> int:
        return len(self.cases)

    def __getitem__(self, index: int) -> LabelledScan:
        case = self.cases[index]
        scan = self.cache.take(case) if self.cache else case.read()
        reference = case.label.read(scan, case.image, self.organs)
        return LabelledScan(case.id, scan, reference, known_classes(case.label, self.organs))


class ScanStream(IterableDataset[LabelledScan]):
    """The scans of a `ScanDataset`, without a length.

    Lightning skips the test of a process whose dataset has length 0. It also skips the hooks in which processes wait
    for each other, so the other processes would hang.
    """

    def __init__(self, scans: ScanDataset) -> None:
        self.scans = scans

    def __iter__(self) -> Iterator[LabelledScan]:
        for index in range(len(self.scans)):
            yield self.scans[index]
