"""volumes.csv, with the volume of each organ: one row per CT and organ."""

import csv
from collections.abc import Collection, Sequence
from pathlib import Path

import numpy as np

from segment.files import write_text
from segment.metrics.cases_csv import csv_text

COLUMNS = ("case", "organ", "volume_ml")


class VolumeTable:
    """The table of a folder of masks. Several calls of `segment predict` may add to it.

    Args:
        path: The file, created with the first case.
        organs: Class i is organs[i-1].
    """

    def __init__(self, path: Path, organs: Sequence[str]) -> None:
        self.path = path
        self.organs = list(organs)

    def cases(self) -> set[str]:
        """Names of the cases in the table."""
        return {row[0] for row in self._rows()}

    def remove(self, cases: Collection[str]) -> None:
        """Remove the rows of cases that will be segmented again."""
        rows = self._rows()
        kept = [row for row in rows if row[0] not in cases]
        if len(kept) < len(rows):
            write_text(self.path, csv_text([COLUMNS, *kept]))

    def add(self, case: str, mask: np.ndarray, affine: np.ndarray) -> None:
        """Append the rows of a case in one write, because several processes may share the file.

        Args:
            case: Name of the case.
            mask: Class indices (I,J,K).
            affine: Voxel → mm of the mask's grid.
        """
        voxel_ml = abs(np.linalg.det(affine[:3, :3])) / 1000
        # Plane by plane, because bincount takes 8 bytes a voxel.
        counts = np.sum([np.bincount(plane.ravel(), minlength=1 + len(self.organs)) for plane in mask], axis=0)
        rows = [(case, organ, f"{n * voxel_ml:.2f}") for organ, n in zip(self.organs, counts[1:], strict=True)]
        if not self.path.exists():
            write_text(self.path, csv_text([COLUMNS]))
        with self.path.open("ab", buffering=0) as file:
            file.write(csv_text(rows).encode())

    def _rows(self) -> list[list[str]]:
        if not self.path.exists():
            return []
        with self.path.open(encoding="utf-8", newline="") as file:
            return [row for row in csv.reader(file) if row][1:]
