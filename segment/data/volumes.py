"""Datasets of whole CTs: volumes for validation, CTs on their own grids for test."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
import torchio as tio
from torch.utils.data import Dataset, IterableDataset

from segment.data.ahead import ReadAhead
from segment.data.store.volume import StoredVolume
from segment.datasets.annotation import annotated
from segment.datasets.cases import Case
from segment.io.scan import Scan


class VolumeDataset(Dataset[tio.Subject]):
    """Whole preprocessed volumes, never augmented, with `id`, their case's, and `annotated` (classes,) bool."""

    def __init__(self, volumes: Sequence[StoredVolume]) -> None:
        self.volumes = list(volumes)

    def __len__(self) -> int:
        return len(self.volumes)

    def __getitem__(self, index: int) -> tio.Subject:
        volume = self.volumes[index]
        return tio.Subject(
            id=volume.id,
            image=tio.ScalarImage(tensor=torch.from_numpy(volume.image[:][None].astype(np.float32))),
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
        annotated: Whether each class is known, background first.
    """

    id: str
    scan: Scan
    reference: np.ndarray
    annotated: Sequence[bool]


class ScanDataset(Dataset[LabelledScan]):
    """CTs as their files hold them: what test scores are computed on.

    Args:
        cases: The cases.
        organs: Class i is organs[i-1].
        reader: What may have read some of them ahead.
    """

    def __init__(self, cases: Sequence[Case], organs: Sequence[str], reader: ReadAhead | None = None) -> None:
        self.cases = list(cases)
        self.organs = list(organs)
        self.reader = reader

    def __len__(self) -> int:
        return len(self.cases)

    def __getitem__(self, index: int) -> LabelledScan:
        case = self.cases[index]
        scan = self.reader.read(case) if self.reader else case.read()
        reference = case.label.read(scan, case.image, self.organs)
        return LabelledScan(case.id, scan, reference, annotated(case.label, self.organs))


class Stream(IterableDataset[LabelledScan]):
    """Scans one after the other, without a length.

    Lightning skips the test where it knows that there is no case, and with it the hooks in which processes wait for
    each other.
    """

    def __init__(self, scans: ScanDataset) -> None:
        self.scans = scans

    def __iter__(self) -> Iterator[LabelledScan]:
        return (self.scans[index] for index in range(len(self.scans)))
