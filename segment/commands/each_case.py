"""Process many cases, and continue after a failed one."""

import logging
import time
from collections.abc import Callable, Mapping
from typing import TypeVar

from segment.errors import UserError
from segment.forecast.forecast import duration

log = logging.getLogger(__name__)

Item = TypeVar("Item")


def process_each(items: Mapping[str, Item], work: Callable[[Item], str]) -> list[str]:
    """Call `work` with every item, and continue when one fails.

    Each line of the log ends with the time left for all items, estimated from the mean so far.

    Args:
        items: The items, by the names that messages use.
        work: Processes an item and returns a text for the log.

    Returns:
        Names and errors of the items that failed.
    """
    failed: list[str] = []
    start = time.monotonic()
    for number, (name, item) in enumerate(items.items(), start=1):
        try:
            text, level = work(item), logging.INFO
        except Exception as error:  # even a bug must not stop the other cases
            text = str(error) if isinstance(error, UserError) else f"{type(error).__name__}: {error}"
            level = logging.ERROR
            failed.append(f"{name}: {text}")
            log.debug("traceback:", exc_info=error)  # shown with hydra.verbose=true
        left = _time_left(time.monotonic() - start, number, len(items))
        log.log(level, "%d/%d %s: %s%s", number, len(items), name, text, left)
    return failed


def _time_left(spent_s: float, done: int, total: int) -> str:
    """The estimated time left, for the end of a line; empty at the end and below a second."""
    left_s = spent_s / done * (total - done)
    return f" ({duration(left_s)} left)" if left_s >= 1 else ""


def raise_failures(failed: list[str], total: int) -> None:
    """Raise a UserError that names the failed items, if there are any."""
    if failed:
        msg = f"{len(failed)} of {total} failed:\n  " + "\n  ".join(failed)
        raise UserError(msg)
