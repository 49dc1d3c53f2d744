"""cases.csv, one row per case and organ, and the table that sums it up."""

import csv
import io
import math
from collections.abc import Iterable, Sequence
from dataclasses import asdict, fields
from pathlib import Path

from rich.console import Console
from rich.table import Table

from segment.files import write_text
from segment.metrics.scores import OrganScore, nan_mean

COLUMNS = ("case", *(field.name for field in fields(OrganScore)))


def begin_cases(path: Path) -> None:
    """Start a table without cases, in place of an older one."""
    write_text(path, csv_text([COLUMNS]))


def append_case(path: Path, case: str, scores: Sequence[OrganScore]) -> None:
    """Add a case's rows, in one write: processes of one run may share the file, and a kill loses no finished case."""
    text = csv_text((case, *asdict(score).values()) for score in scores)
    with path.open("ab", buffering=0) as file:  # a buffer would part a long text
        file.write(text.encode())


def sort_cases(path: Path, order: Sequence[str]) -> None:
    """Put the cases into an order; rows of one stay as they are."""
    place = {case: number for number, case in enumerate(order)}
    rows = sorted(read_cases(path), key=lambda row: place[row[0]])
    write_text(path, csv_text([COLUMNS, *((case, *asdict(score).values()) for case, score in rows)]))


def read_cases(path: Path) -> list[tuple[str, OrganScore]]:
    """Case and score of every row of a cases.csv."""
    with path.open(encoding="utf-8", newline="") as file:
        return [
            (row["case"], OrganScore(row["organ"], *(float(row[name]) for name in COLUMNS[2:])))
            for row in csv.DictReader(file)
        ]


def print_scores(path: Path) -> None:
    """Print means over patients per organ and the mean of these; nothing when nobody was tested."""
    rows = read_cases(path) if path.exists() else []
    if not rows:
        return
    count = len({case for case, _ in rows})
    table = Table(title=f"{count} test cases, means over patients" if count > 1 else "1 test case")
    for column in ("organ", "dice", "hd95 mm", "nsd", "true mL", "predicted mL", "lowest dice"):
        table.add_column(column, justify="left" if column == "organ" else "right")
    means = []
    for organ in dict.fromkeys(score.organ for _, score in rows):
        scores = [score for _, score in rows if score.organ == organ]
        means.append(nan_mean(s.dice for s in scores))
        table.add_row(
            organ,
            f"{means[-1]:.3f}",
            f"{nan_mean(s.hd95_mm for s in scores):.1f}",
            f"{nan_mean(s.nsd for s in scores):.3f}",
            f"{nan_mean(s.volume_ml_true for s in scores):.0f}",
            f"{nan_mean(s.volume_ml_pred for s in scores):.0f}",
            f"{min((s.dice for s in scores if not math.isnan(s.dice)), default=math.nan):.3f}",
        )
    table.add_section()
    table.add_row("mean", f"{nan_mean(means):.3f}")
    Console().print(table)


def csv_text(rows: Iterable[Iterable[object]]) -> str:
    """Rows as CSV."""
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(rows)
    return text.getvalue()
