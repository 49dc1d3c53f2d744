"""A picture may fail; what it shows must not be lost with it."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager

log = logging.getLogger(__name__)


@contextmanager
def picture(what: str) -> Iterator[None]:
    """Log why a picture cannot be made, and go on after the block.

    Masks, scores and findings are worth more than their pictures, so an error of any kind ends the block only.

    Args:
        what: What the block makes, as the log names it.
    """
    try:
        yield
    except Exception as error:  # whatever a renderer, an encoder or a full disk raises
        log.warning("cannot make %s: %s: %s", what, type(error).__name__, error)
        log.debug("its traceback:", exc_info=error)
