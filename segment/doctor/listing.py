"""The codes of a source's label files as a table, whatever is declared of them."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from statistics import mean, median

from rich.table import Table

from segment.anatomy.place import Place, together
from segment.io.label_codes import Codes

MANY = 10  # codes of one structure from which these share a row


def code_table(source: str, cases: Sequence[Mapping[int, Place]], declared: Codes) -> Table:
    """A row for every code, or for all of a structure with many: how many cases show it, and medians over these.

    Args:
        source: The data set's source.
        cases: Places of the codes of every case.
        declared: Code or codes by structure, as the configuration has them.
    """
    table = Table(title=f"codes in the label files of {source} (medians over cases)", title_justify="left")
    for heading in ("code", "declared as", "cases", "mL", "side", "height", "HU"):
        table.add_column(heading, justify="left" if heading in ("declared as", "side", "height") else "right")
    for row in _rows(cases, declared):
        table.add_row(*row)
    return table


def _rows(cases: Sequence[Mapping[int, Place]], declared: Codes) -> Iterator[tuple[str, ...]]:
    middles = [mean(place.up_mm for place in case.values()) if case else 0.0 for case in cases]
    for codes, name in _gathered({code for case in cases for code in case}, declared):
        shown = [
            (together([case[c] for c in codes if c in case]), middle)
            for case, middle in zip(cases, middles, strict=True)
            if not codes.isdisjoint(case)
        ]
        right = median(place.right_mm for place, _ in shown)
        up = median(place.up_mm - middle for place, middle in shown)
        hu = [place.median_hu for place, _ in shown if place.median_hu is not None]
        yield (
            ", ".join(map(str, sorted(codes))) if len(codes) == 1 else f"{min(codes)} … {max(codes)} ({len(codes)})",
            name,
            str(len(shown)),
            _short(median(place.volume_ml for place, _ in shown)),
            f"{abs(right):.0f} mm {'right' if right > 0 else 'left'}",
            f"{abs(up):.0f} mm {'above' if up > 0 else 'below'}",
            f"{median(hu):.0f}" if hu else "-",
        )


def _gathered(found: Collection[int], declared: Codes) -> list[tuple[frozenset[int], str]]:
    """Every code found with its name, but those of one structure with many codes together."""
    rows: list[tuple[frozenset[int], str]] = []
    left = set(found)
    for name, value in declared.items():
        own = left & set([value] if isinstance(value, int) else value)
        rows += [(frozenset(own), name)] if len(own) > MANY else [(frozenset([code]), name) for code in own]
        left -= own
    rows += [(frozenset([code]), "-") for code in left]
    return sorted(rows, key=lambda row: min(row[0]))


def _short(volume_ml: float) -> str:
    return f"{volume_ml:.0f}" if volume_ml >= 10 else f"{volume_ml:.2g}"
