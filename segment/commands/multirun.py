"""The jobs of a grid (`-m`): the table that is printed after them, and their page."""

import os
import socket
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hydra.core.hydra_config import HydraConfig

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


class Grid:
    """The jobs that have ended in this process.

    A launcher may run jobs in other processes, e.g. on a cluster, where a copy of this object records one job. The
    command that submitted them may end before they do, so each of these jobs writes the page of the grid; the last one
    writes the complete page.
    """

    def __init__(self) -> None:
        self._ended: list[Job] = []
        self._launcher = _this_process()

    def end(self, result: str, cfg: Any) -> None:  # noqa: ANN401
        """Record that the current job has ended.

        Args:
            result: The score, or why the job failed.
            cfg: Its configuration.
        """
        hydra_cfg = HydraConfig.get()
        folder = os.path.relpath(hydra_cfg.runtime.output_dir)
        job = Job(hydra_cfg.job.num, list(hydra_cfg.overrides.task), result, folder, cfg.get("page") is True)
        self._ended.append(job)
        if _this_process() != self._launcher:
            from segment.run.processes import is_rank_zero  # imports torch, as the job has done

            if is_rank_zero():
                _write_page([job])

    def report(self) -> None:
        """Print the table of the jobs and write their page; nothing if none has ended here."""
        if self._ended:
            print(table(self._ended))
            _write_page(self._ended)


def _this_process() -> tuple[str, int]:
    """Machine and number of this process."""
    return socket.gethostname(), os.getpid()


def _write_page(ended: Sequence[Job]) -> None:
    """Write the page of a grid of runs, unless all its jobs have page=false."""
    if any(job.page and (Path(job.folder) / "config.yaml").exists() for job in ended):
        from segment.commands.pages import page_at_end  # importing it takes a second
        from segment.view.page.sweep import write_sweep_page

        page_at_end(True, Path(ended[0].folder).parent, write_sweep_page)


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
