"""confidence.csv: what was measured in masks whose Dice is known, a row for each organ of each provoked fault."""

import csv
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from segment.files import write_text
from segment.inference.confidence.body import OF_CT
from segment.inference.confidence.features import OF_ORGAN, Findings
from segment.metrics.cases_csv import csv_text

FEATURES = (*OF_ORGAN, *OF_CT)
KEYS = ("case", "fault", "organ", "dice", "voxels")
COLUMNS = (*KEYS, "in_view", "flags", *FEATURES)


@dataclass(frozen=True)
class Row:
    """One organ of one mask.

    Attributes:
        case: Id of the case.
        fault: What was done to it, `sound` if nothing.
        organ: Its name.
        dice: Its true Dice.
        voxels: Voxels of the reference.
        in_view: See `Findings`; None for an organ that the mask has.
        flags: Its flags; see `organ_flags`.
        features: Its features; None if the mask does not have it.
    """

    case: str
    fault: str
    organ: str
    dice: float
    voxels: int
    in_view: bool | None
    flags: Sequence[str]
    features: Mapping[str, float] | None

    @property
    def findings(self) -> Findings:
        """As measured in the mask, for this organ alone."""
        if self.features is None:
            return Findings({}, {self.organ: self.in_view})
        return Findings({self.organ: self.features}, {})


def append_rows(path: Path, rows: Iterable[Row]) -> None:
    """Append rows to a table, which is created if it does not exist."""
    if not path.exists():
        write_text(path, csv_text([COLUMNS]))
    text = csv_text(map(_cells, rows))
    with path.open("ab", buffering=0) as file:
        file.write(text.encode())


def read_rows(path: Path) -> list[Row]:
    """The rows of a table. If one occurs twice, because a call was interrupted, the last one counts."""
    found = {}
    with path.open(encoding="utf-8", newline="") as file:
        for cells in csv.DictReader(file):
            row = _row(cells)
            found[row.case, row.fault, row.organ] = row
    return list(found.values())


def feature_matrix(rows: Sequence[Row], missing: float) -> np.ndarray:
    """Features (N,F) of organs that their masks have, in the order of `FEATURES`, with NaN replaced."""
    matrix = np.array([[row.features[name] for name in FEATURES] for row in rows if row.features], float)
    return np.asarray(np.nan_to_num(matrix.reshape(-1, len(FEATURES)), nan=missing))


def _cells(row: Row) -> list[object]:
    features = row.features or {}
    view = "" if row.in_view is None else int(row.in_view)
    numbers = [f"{features[name]:.6g}" if name in features else "" for name in FEATURES]
    return [row.case, row.fault, row.organ, f"{row.dice:.6g}", row.voxels, view, "; ".join(row.flags), *numbers]


def _row(cells: Mapping[str, str]) -> Row:
    features = None if not cells[FEATURES[0]] else {name: float(cells[name]) for name in FEATURES}
    return Row(
        case=cells["case"],
        fault=cells["fault"],
        organ=cells["organ"],
        dice=float(cells["dice"]),
        voxels=int(cells["voxels"]),
        in_view=None if not cells["in_view"] else cells["in_view"] == "1",
        flags=[flag for flag in cells["flags"].split("; ") if flag],
        features=features,
    )
