"""What became of the jobs of a grid (`-m`), as one table at its end."""

from collections.abc import Sequence
from dataclasses import dataclass

HEAD = ("job", "overrides", "result", "folder")


@dataclass(frozen=True)
class Job:
    """A job that has ended.

    Attributes:
        number: Its number within the grid.
        overrides: All that it was given.
        result: Its score, or why it failed.
        folder: Where it wrote, relative to the current folder if it lies below.
    """

    number: int
    overrides: Sequence[str]
    result: str
    folder: str


def table(jobs: Sequence[Job]) -> str:
    """The jobs as lines of aligned columns; overrides that all of them have are left out; the head alone for no job."""
    shared = set.intersection(*(set(job.overrides) for job in jobs)) if jobs else set()
    own = [" ".join(override for override in job.overrides if override not in shared) for job in jobs]
    rows = [HEAD, *((str(job.number), given, job.result, job.folder) for job, given in zip(jobs, own, strict=True))]
    cells = [[" ".join(cell.split()) for cell in row] for row in rows]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    return "\n".join("  ".join(map(str.ljust, row, widths)).rstrip() for row in cells)
