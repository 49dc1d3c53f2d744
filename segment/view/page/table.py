"""Reads tables of text, and the numbers in their cells."""

import csv
import math
from collections.abc import Sequence
from pathlib import Path


def read_rows(path: Path) -> list[dict[str, str]]:
    """Rows of a CSV file by column; none if it does not exist."""
    if not path.exists():
        return []
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def finite(text: str | None) -> float | None:
    """The number that a cell holds; None if it holds none, or no finite one."""
    try:
        value = float(text or "nan")
    except ValueError:
        return None
    return value if math.isfinite(value) else None


def parsed(cells: Sequence[str]) -> list[float | str | None]:
    """Cells of a column as numbers if all of them are, otherwise as text; an empty cell is None."""
    numbers = [finite(cell) for cell in cells]
    if all(number is not None or not cell for number, cell in zip(numbers, cells, strict=True)):
        return list(numbers)
    return [cell or None for cell in cells]
