"""Protect results from failures of the pictures that show them."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager

log = logging.getLogger(__name__)


@contextmanager
def warn_on_error(name: str) -> Iterator[None]:
    """Log any error in the block as a warning and continue after the block.

    A picture that cannot be made must not cost the masks, scores or findings that it shows.

    Args:
        name: What the block makes, as the log names it, e.g. "overlay.png of case_01".
    """
    try:
        yield
    except Exception as error:  # from a renderer, an encoder, a full disk …
        log.warning("cannot make %s: %s: %s", name, type(error).__name__, error)
        log.debug("its traceback:", exc_info=error)
