"""cases.csv, one row per case and organ, and the table that sums it up."""

import csv
import math
from collections.abc import Iterable, Sequence
from dataclasses import asdict, fields
from pathlib import Path

from rich.console import Console
from rich.table import Table

from segment.metrics.scores import OrganScore

COLUMNS = ("case", *(field.name for field in fields(OrganScore)))


def append_case(path: Path, case: str, scores: Sequence[OrganScore]) -> None:
    """Add a case's rows, in one write: processes of one run may share the file, and a kill loses no finished case."""
    rows = [",".join(str(value) for value in (case, *asdict(score).values())) for score in scores]
    text = "\n".join(rows) + "\n"
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a") as file:
        file.write(text if file.tell() else ",".join(COLUMNS) + "\n" + text)


def read_cases(path: Path) -> list[tuple[str, OrganScore]]:
    """Rows of a cases.csv."""
    with path.open(newline="") as file:
        return [
            (row["case"], OrganScore(row["organ"], *(float(row[name]) for name in COLUMNS[2:])))
            for row in csv.DictReader(file)
        ]


def print_scores(path: Path) -> None:
    """Print means over patients per organ; nothing when nobody was tested."""
    if not path.exists():
        return
    rows = read_cases(path)
    table = Table(title=f"{len({case for case, _ in rows})} test cases, means over patients")
    for column in ("organ", "dice", "hd95 mm", "nsd", "true mL", "predicted mL", "lowest dice"):
        table.add_column(column, justify="left" if column == "organ" else "right")
    for organ in dict.fromkeys(score.organ for _, score in rows):
        scores = [score for _, score in rows if score.organ == organ]
        table.add_row(
            organ,
            f"{_mean(s.dice for s in scores):.3f}",
            f"{_mean(s.hd95_mm for s in scores):.1f}",
            f"{_mean(s.nsd for s in scores):.3f}",
            f"{_mean(s.volume_ml_true for s in scores):.0f}",
            f"{_mean(s.volume_ml_pred for s in scores):.0f}",
            f"{min((s.dice for s in scores if not math.isnan(s.dice)), default=math.nan):.3f}",
        )
    mean = _mean(_mean(s.dice for _, s in rows if s.organ == organ) for organ in {s.organ for _, s in rows})
    table.add_section()
    table.add_row("mean", f"{mean:.3f}")
    Console().print(table)


def _mean(values: Iterable[float]) -> float:
    known = [value for value in values if not math.isnan(value)]
    return sum(known) / len(known) if known else math.nan
