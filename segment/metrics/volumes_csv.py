"""volumes.csv, with the measurements of each organ: one row per CT and organ."""

import csv
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

from segment.files import write_text
from segment.metrics.cases_csv import csv_text

MEASURES = ("case", "organ", "volume_ml", "hu_mean", "hu_sd", "surface_cm2", "cut_by", "pieces", "flags")
# Columns of the confidence, and its fields; see `segment.inference.confidence.confidence`.
CONFIDENCE = {
    "confidence": "color",
    "predicted_dice": "dice",
    "dice_low": "low",
    "dice_high": "high",
    "reasons": "reasons",
}
COLUMNS = (*MEASURES, *CONFIDENCE)


class VolumeTable:
    """The table of a folder of masks. Several calls of `segment predict` may add to it.

    Args:
        path: The file, created with the first case. A table with other columns, of another version, counts as empty.
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    def cases(self) -> set[str]:
        """Names of the cases in the table."""
        return {row[0] for row in self._rows()[1:]}

    def remove(self, cases: Collection[str]) -> None:
        """Remove the rows of cases that will be segmented again, and a table with other columns."""
        rows = self._rows()
        kept = [row for row in rows[1:] if row[0] not in cases]
        if len(kept) < len(rows[1:]) or (not rows and self.path.exists()):
            write_text(self.path, csv_text([COLUMNS, *kept]))

    def add(self, case: str, organs: Sequence[Mapping[str, Any]]) -> None:
        """Append the rows of a case in one write, because several processes may share the file.

        Args:
            case: Name of the case.
            organs: The organs of its report; see `segment.inference.outputs.report`.
        """
        if not self.path.exists():
            write_text(self.path, csv_text([COLUMNS]))
        text = csv_text(_row(case, organ) for organ in organs)
        with self.path.open("ab", buffering=0) as file:
            file.write(text.encode())

    def _rows(self) -> list[list[str]]:
        """Header and rows; empty if there is no table with these columns."""
        if not self.path.exists():
            return []
        with self.path.open(encoding="utf-8", newline="") as file:
            rows = [row for row in csv.reader(file) if row]
        return rows if rows and tuple(rows[0]) == COLUMNS else []


def _row(case: str, organ: Mapping[str, Any]) -> list[object]:
    """A row from an entry of a report: lists as text, and an empty cell for None."""
    cells = {**organ, "case": case, "pieces": len(organ["pieces_ml"])}
    confidence = organ.get("confidence") or {}
    cells |= {column: confidence.get(name) for column, name in CONFIDENCE.items()}
    values = [cells[name] for name in COLUMNS]
    return ["; ".join(value) if isinstance(value, list) else value for value in values]
