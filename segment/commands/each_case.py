"""Process many cases, and continue after a failed one."""

import logging
from collections.abc import Callable, Mapping
from typing import TypeVar

from segment.errors import UserError

log = logging.getLogger(__name__)

Item = TypeVar("Item")


def process_each(items: Mapping[str, Item], work: Callable[[Item], str]) -> list[str]:
    """Call `work` with every item, and continue when one fails.

    Args:
        items: The items, by the names that messages use.
        work: Processes an item and returns a text for the log.

    Returns:
        Names and errors of the items that failed.
    """
    failed: list[str] = []
    for number, (name, item) in enumerate(items.items(), start=1):
        try:
            log.info("%d/%d %s: %s", number, len(items), name, work(item))
        except Exception as error:  # even a bug must not stop the other cases
            reason = str(error) if isinstance(error, UserError) else f"{type(error).__name__}: {error}"
            failed.append(f"{name}: {reason}")
            log.error("%d/%d %s", number, len(items), failed[-1])
            log.debug("traceback:", exc_info=error)  # shown with hydra.verbose=true
    return failed


def raise_failures(failed: list[str], total: int) -> None:
    """Raise a UserError that names the failed items, if there are any."""
    if failed:
        msg = f"{len(failed)} of {total} failed:\n  " + "\n  ".join(failed)
        raise UserError(msg)
