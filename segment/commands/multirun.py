"""The table of all jobs that is printed after a grid (`-m`)."""

from collections.abc import Sequence
from dataclasses import dataclass

HEAD = ("job", "overrides", "result", "folder")


@dataclass(frozen=True)
class Job:
    """A finished job.

    Attributes:
        number: Number of the job within the grid.
        overrides: All overrides of the job.
        result: The score, or why the job failed.
        folder: Output folder, relative to the current folder if it is below it.
        page: Whether it was asked for a page, so that the grid gets one, too.
    """

    number: int
    overrides: Sequence[str]
    result: str
    folder: str
    page: bool = False


def table(jobs: Sequence[Job]) -> str:
    """Format the jobs as aligned columns, without the overrides that all jobs share; only the header for no jobs."""
    shared = set.intersection(*(set(job.overrides) for job in jobs)) if jobs else set()
    rows: list[Sequence[str]] = [HEAD]
    for job in jobs:
        own = " ".join(override for override in job.overrides if override not in shared)
        rows.append((str(job.number), own, job.result, job.folder))
    cells = [[_one_line(cell) for cell in row] for row in rows]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    lines = ["  ".join(map(str.ljust, row, widths)).rstrip() for row in cells]
    return "\n".join(lines)


def _one_line(text: str) -> str:
    return " ".join(text.split())
