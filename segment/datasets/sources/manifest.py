"""A table of the files of every case, for data sets in any layout."""

import csv
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from segment.datasets.annotation import Annotation
from segment.datasets.annotation_files import MaskFiles, label_in
from segment.datasets.cases import PARTS, Case, Refused
from segment.datasets.sources.listing import build_cases, refuse
from segment.datasets.split_sides import Sides, with_sides
from segment.errors import UserError
from segment.io.dicom_seg import SEG_SUFFIX
from segment.io.json_file import read_json
from segment.io.label_codes import Declared, normalise_name
from segment.io.left_out import LeftOut
from segment.io.scan import has_suffix

COLUMNS = ("case", "image", "label", "patient", "group", "series", "split")
MASK = "label:"  # prefix of a column with the masks of one structure, for example `label:liver`


class Manifest:
    """Cases of a CSV file with a header, or of a JSON file with a list of objects.

    The columns are:

    - `case`: the case's name.
    - `image`: a file, or the folder of a DICOM series.
    - `label`: a file of codes or a DICOM segmentation object (`.dcm`). Instead, each structure may have its own mask,
      in a column `label:<organ>`. An empty cell means that the structure is not annotated in this case.
    - `patient` (optional): without it, every case is another patient.
    - `group` and `series` (optional): see `Case`.
    - `split` (optional): train, val or test.

    Other columns are ignored. Paths are absolute or relative to the folder of the table.

    Args:
        path: The table.
        label_codes: As in `Folder`, for the files in the column `label`; only needed with that column.
        sides: As in `Folder`.
    """

    def __init__(
        self,
        path: str | Path,
        label_codes: Declared | None = None,
        sides: Sides | None = None,
    ) -> None:
        self.path = Path(path)
        self.label_codes = label_codes
        self.sides = sides

    def cases(self, source: str, refused: Refused | None = None) -> list[Case]:
        """List the cases in the order of the table.

        Raises:
            UserError: When the table cannot be read, lacks a required column or value, or names a case twice, a missing
                file or an unknown part. Also when a case has both kinds of labels or none.
        """
        rows = _rows(self.path)
        if not rows:
            msg = f"{self.path} lists no cases; add one row for each"
            raise UserError(msg)
        named: dict[str, tuple[int, Mapping[str, str]]] = {}
        for number, row in enumerate(rows, start=1):
            name = row.get("case") or f"row {number}"
            if name in named:
                msg = f"{self.path} names the case {name} more than once; give every row its own"
                refuse(refused, f"{source}/{name}", msg)
            named.setdefault(name, (number, row))
        return build_cases(source, named, refused, lambda name: self._case(source, *named[name]))

    def left_out(self, cases: Sequence[Case]) -> list[LeftOut]:
        """Columns that are not read, for example because they are misspelt."""
        columns: set[str] = set()
        for row in _rows(self.path):
            columns.update(row)
        unread = [column for column in sorted(columns) if column not in COLUMNS and not column.startswith(MASK)]
        return [
            LeftOut(column, f"an unknown column; the known ones are {', '.join(COLUMNS)}", True) for column in unread
        ]

    def _case(self, source: str, number: int, row: Mapping[str, str]) -> Case:
        name = self._required(row, "case", number)
        image = self._required(row, "image", number)
        part = row.get("split", "")
        if part and part not in PARTS:
            msg = f"{self.path} puts {name} into {part!r}; its column split may hold {', '.join(PARTS)}"
            raise UserError(msg)
        label = with_sides(self._label(name, row), self.sides)
        patient = row.get("patient") or name
        group = row.get("group", "")
        return Case(
            f"{source}/{name}",
            f"{source}/{patient}",
            self._file(name, image),
            label,
            group,
            part,
            row.get("series") or None,
        )

    def _label(self, name: str, row: Mapping[str, str]) -> Annotation:
        masks = {}
        for column, value in row.items():
            if column.startswith(MASK) and value:
                masks[normalise_name(column.removeprefix(MASK))] = value
        codes = row.get("label", "")
        if bool(masks) == bool(codes):
            kind = "both label and" if codes else "neither label nor"
            msg = f"{self.path} gives {name} {kind} {MASK}<organ>; give it one of them"
            raise UserError(msg)
        if masks:
            return MaskFiles({organ: self._file(name, path) for organ, path in masks.items()})
        file = self._file(name, codes)
        if self.label_codes is None and not has_suffix(file, SEG_SUFFIX):
            msg = (
                f"{self.path} has files of codes in its column label; state what these mean in label_codes, with the "
                "codes that segment doctor lists"
            )
            raise UserError(msg)
        return label_in(file, self.label_codes or {})

    def _required(self, row: Mapping[str, str], column: str, number: int) -> str:
        if not row.get(column):
            msg = f"{self.path} has no {column} in row {number}; fill the columns case and image in every row"
            raise UserError(msg)
        return row[column]

    def _file(self, name: str, path: str) -> Path:
        full = self.path.parent / path  # an absolute path stays what it is
        if not full.exists():
            msg = (
                f"{self.path} gives {name} the file {path}, but there is no {full}; correct the path, which starts "
                "at the folder of the table"
            )
            raise UserError(msg)
        return full


def _rows(path: Path) -> list[dict[str, str]]:
    if path.suffix == ".json":
        return _rows_of_json(path, read_json(path))
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            header = file.readline()
            file.seek(0)
            # Spreadsheets use semicolons in countries with a decimal comma.
            table = csv.DictReader(file, delimiter=max(",;\t", key=header.count))
            return [_stripped(row) for row in table]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        msg = f"cannot read {path}: {error}; give a CSV file in UTF-8 or a JSON file"
        raise UserError(msg) from error


def _stripped(row: Mapping[str, str | None]) -> dict[str, str]:
    """Values without surrounding spaces, of the columns with a name."""
    return {column: (value or "").strip() for column, value in row.items() if column}


def _rows_of_json(path: Path, document: Any) -> list[dict[str, str]]:  # noqa: ANN401
    if not isinstance(document, Sequence) or not all(isinstance(row, Mapping) for row in document):
        msg = f'{path} is not a list of cases; write [{{"case": "a", "image": "a.nii.gz", "label": "a_seg.nii.gz"}}]'
        raise UserError(msg)
    rows = []
    for row in document:
        text = {}
        for key, value in row.items():
            text[str(key)] = "" if value is None else str(value)
        rows.append(text)
    return rows
