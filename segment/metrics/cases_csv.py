"""cases.csv, with one row per case and organ, and the printed summary of it."""

import csv
import io
import math
from collections.abc import Iterable, Sequence
from dataclasses import asdict, fields
from pathlib import Path

from rich.console import Console
from rich.table import Table

from segment.files import write_text
from segment.metrics.definitions import METRICS
from segment.metrics.scores import OrganScore, nan_mean

COLUMNS = ("case", *(field.name for field in fields(OrganScore)))


def create_cases(path: Path) -> None:
    """Write a table without cases. An older table is replaced."""
    write_text(path, csv_text([COLUMNS]))


def append_case(path: Path, case: str, scores: Sequence[OrganScore]) -> None:
    """Append the rows of a case in one write.

    Several processes of a run may share the file. If a process is killed, finished cases stay complete.
    """
    text = csv_text((case, *asdict(score).values()) for score in scores)
    with path.open("ab", buffering=0) as file:  # with a buffer, a long text would take several writes
        file.write(text.encode())


def sort_cases(path: Path, order: Sequence[str]) -> None:
    """Sort the table by case, in the given order. The rows of a case keep their order."""
    positions = {case: position for position, case in enumerate(order)}
    rows = sorted(read_cases(path), key=lambda row: positions[row[0]])
    write_text(path, csv_text([COLUMNS, *((case, *asdict(score).values()) for case, score in rows)]))


def read_cases(path: Path) -> list[tuple[str, OrganScore]]:
    """Case and score of every row of a cases.csv."""
    rows = []
    with path.open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            case, organ = row["case"], row["organ"]
            rows.append((case, OrganScore(organ, *(float(row[name]) for name in COLUMNS[2:]))))
    return rows


def print_scores(path: Path) -> None:
    """Print the means over patients for each organ, and the mean Dice over organs; nothing if the table is empty."""
    rows = read_cases(path) if path.exists() else []
    if not rows:
        return
    count = len({case for case, _ in rows})
    table = Table(title=f"{count} test cases, means over patients" if count > 1 else "1 test case")
    headings = [metric.heading for metric in METRICS.values()]
    for column in ("organ", *headings, "reference mL", "predicted mL", "lowest dice"):
        table.add_column(column, justify="left" if column == "organ" else "right")
    means = []
    for organ in dict.fromkeys(score.organ for _, score in rows):
        scores = [score for _, score in rows if score.organ == organ]
        means.append(nan_mean(score.dice for score in scores))
        cells = [organ]
        for name, metric in METRICS.items():
            mean = nan_mean(getattr(score, name) for score in scores)
            cells.append(f"{mean:.{metric.digits}f}")
        for name in ("volume_ml_reference", "volume_ml_pred"):
            mean_ml = nan_mean(getattr(score, name) for score in scores)
            cells.append(f"{mean_ml:.0f}")
        lowest = min((score.dice for score in scores if not math.isnan(score.dice)), default=math.nan)
        table.add_row(*cells, f"{lowest:.3f}")
    table.add_section()
    table.add_row("mean", f"{nan_mean(means):.3f}")
    Console().print(table)


def csv_text(rows: Iterable[Iterable[object]]) -> str:
    """Rows as the text of a CSV file."""
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(rows)
    return text.getvalue()
