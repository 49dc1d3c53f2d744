"""A table of the codes in a source's label files, whether they are declared or not."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from statistics import mean, median

from rich.table import Table

from segment.anatomy.structure import Structure, merge_structures
from segment.io.label_codes import Codes

MANY = 10  # a structure with more codes than this gets a single row


def code_table(source: str, cases: Sequence[Mapping[int, Structure]], declared: Codes) -> Table:
    """Return a table with a row for every code: the number of cases with the code, and medians over these cases.

    A structure with more than `MANY` codes has a single row.

    Args:
        source: The data set's source.
        cases: Structures of every case, by code.
        declared: Code or codes by structure, as configured.
    """
    table = Table(title=f"codes in the label files of {source} (medians over cases)", title_justify="left")
    for heading in ("code", "declared as", "cases", "mL", "side", "height", "HU"):
        table.add_column(heading, justify="left" if heading in ("declared as", "side", "height") else "right")
    for row in _rows(cases, declared):
        table.add_row(*row)
    return table


def _rows(cases: Sequence[Mapping[int, Structure]], declared: Codes) -> Iterator[tuple[str, ...]]:
    found = {code for case in cases for code in case}
    for codes, name in _group_codes(found, declared):
        structures: list[Structure] = []
        heights: list[float] = []  # above the middle of all codes of the case
        for case in cases:
            parts = [case[code] for code in codes if code in case]
            if parts:
                structure = merge_structures(parts)
                structures.append(structure)
                heights.append(structure.up_mm - mean(other.up_mm for other in case.values()))
        right = median(structure.right_mm for structure in structures)
        up = median(heights)
        hu = [structure.median_hu for structure in structures if structure.median_hu is not None]
        yield (
            str(min(codes)) if len(codes) == 1 else f"{min(codes)} … {max(codes)} ({len(codes)})",
            name,
            str(len(structures)),
            _short(median(structure.volume_ml for structure in structures)),
            f"{abs(right):.0f} mm {'right' if right > 0 else 'left'}",
            f"{abs(up):.0f} mm {'above' if up > 0 else 'below'}",
            f"{median(hu):.0f}" if hu else "-",
        )


def _group_codes(found: Collection[int], declared: Codes) -> list[tuple[frozenset[int], str]]:
    """Return the codes of each row with their structure, in ascending order. Undeclared codes are called `-`."""
    rows: list[tuple[frozenset[int], str]] = []
    remaining = set(found)
    for name, value in declared.items():
        own = remaining & set([value] if isinstance(value, int) else value)
        if len(own) > MANY:
            rows.append((frozenset(own), name))
        else:
            rows += [(frozenset([code]), name) for code in own]
        remaining -= own
    rows += [(frozenset([code]), "-") for code in remaining]
    return sorted(rows, key=lambda row: min(row[0]))


def _short(volume_ml: float) -> str:
    return f"{volume_ml:.0f}" if volume_ml >= 10 else f"{volume_ml:.2g}"
