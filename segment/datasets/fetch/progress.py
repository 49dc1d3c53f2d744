"""How far a download is."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn, TransferSpeedColumn


@contextmanager
def progress(name: str, done: int, total: int | None) -> Iterator[Callable[[int], None]]:
    """A bar on stderr, if that is a terminal.

    Args:
        name: What is downloaded.
        done: Bytes that are there already.
        total: Bytes in all, None when unknown.

    Yields:
        To be called with the number of further bytes.
    """
    columns = (
        *(TextColumn("{task.description}"), BarColumn(), DownloadColumn()),
        *(TransferSpeedColumn(), TimeRemainingColumn()),
    )
    with Progress(*columns, console=Console(stderr=True), disable=not sys.stderr.isatty()) as bar:
        task = bar.add_task(escape(name), total=total, completed=done)
        yield lambda count: bar.advance(task, count)
