"""Read the scores of a training while it runs, and the reason why it failed."""

import csv
import math
import re
import signal
from collections.abc import Iterable
from pathlib import Path

from segment.privacy import without_paths_in_log

REASON = re.compile(r"(?:error: |[\w.]*(?:Error|Exception|Interrupt)\b).*")


def scores(path: Path, monitor: str) -> dict[int, float]:
    """Values of a metric by epoch, from a metrics.csv that is still being written; NaN is left out.

    Empty if the file or the column does not exist yet.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        return {}
    complete_lines = text[: text.rfind("\n") + 1].splitlines()  # the last line may be incomplete
    rows = csv.reader(complete_lines)
    columns = next(rows, [])
    if not {monitor, "epoch"} <= set(columns):
        return {}
    found: dict[int, float] = {}
    for row in rows:
        values = dict(zip(columns, row, strict=False))
        if len(row) == len(columns) and values[monitor] and values["epoch"]:
            found[int(values["epoch"])] = float(values[monitor])
    return {epoch: value for epoch, value in found.items() if not math.isnan(value)}


def best(values: Iterable[float], direction: str) -> float:
    """The largest or smallest value, as for the best checkpoint."""
    return max(values) if direction == "maximize" else min(values)


def reason(code: int, output: str) -> str:
    """Why a training ended, in one line without absolute paths.

    Args:
        code: Its exit code, negative for a signal.
        output: The end of its output.
    """
    if code == -signal.SIGKILL:
        return "killed by SIGKILL, perhaps because memory ran out"
    if code < 0:
        return f"killed by signal {-code} ({signal.strsignal(-code)})"
    if code == 128 + signal.SIGTERM:
        return "stopped by SIGTERM from outside"
    lines = [line.strip() for line in output.splitlines() if line.strip()]
    reasons = [line for line in lines if REASON.fullmatch(line)]
    line = (reasons or lines or ["no message"])[-1].removeprefix("error: ")
    return without_paths_in_log(line)[:300]
