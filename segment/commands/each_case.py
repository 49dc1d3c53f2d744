"""Work on many cases that goes on past a bad one."""

import logging
from collections.abc import Callable, Mapping
from typing import TypeVar

from segment.errors import UserError

log = logging.getLogger(__name__)

Item = TypeVar("Item")


def work_through(items: Mapping[str, Item], work: Callable[[Item], str]) -> list[str]:
    """Call `work` with every item, whatever happens to the others.

    Args:
        items: By the names that messages call them.
        work: Returns what to log of an item when it is done.

    Returns:
        Names and reasons of those that failed.
    """
    failed: list[str] = []
    for number, (name, item) in enumerate(items.items(), start=1):
        try:
            log.info("%d/%d %s: %s", number, len(items), name, work(item))
        except Exception as error:  # of whatever kind: thousands of other cases wait
            reason = str(error) if isinstance(error, UserError) else f"{type(error).__name__}: {error}"
            failed.append(f"{name}: {reason}")
            log.error("%d/%d %s", number, len(items), failed[-1])
            log.debug("its traceback:", exc_info=error)  # hydra.verbose=true shows it
    return failed


def name_failures(failed: list[str], total: int) -> None:
    """Raise a UserError that names what failed, if anything did."""
    if failed:
        msg = f"{len(failed)} of {total} failed:\n  " + "\n  ".join(failed)
        raise UserError(msg)
