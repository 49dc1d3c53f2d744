"""Progress of a download."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn, TransferSpeedColumn


@contextmanager
def progress(name: str, done: int, total: int | None) -> Iterator[Callable[[int], None]]:
    """Show a progress bar on stderr if stderr is a terminal.

    Args:
        name: Name of the file.
        done: Bytes so far.
        total: Size of the file in bytes; None if unknown.

    Yields:
        A function to call with the number of new bytes.
    """
    columns = (
        *(TextColumn("{task.description}"), BarColumn(), DownloadColumn()),
        *(TransferSpeedColumn(), TimeRemainingColumn()),
    )
    with Progress(*columns, console=Console(stderr=True), disable=not sys.stderr.isatty()) as bar:
        task = bar.add_task(escape(name), total=total, completed=done)
        yield lambda count: bar.advance(task, count)
