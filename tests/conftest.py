import locale
import logging

import pytest
from hypothesis import settings

# Tests share their machine: an example that takes long is no failure.
settings.register_profile("patient", deadline=None)
settings.load_profile("patient")


@pytest.fixture(autouse=True)
def _logging_as_it_was():
    """Commands set up logging for their process: messages of later tests must not go to this one's stderr."""
    loggers = [logging.getLogger(name) for name in (None, "pytorch_lightning", "lightning_fabric")]
    before = [(logger.level, logger.propagate, list(logger.handlers)) for logger in loggers]
    yield
    for logger, (level, propagate, handlers) in zip(loggers, before, strict=True):
        logger.setLevel(level)
        logger.propagate = propagate
        for handler in set(logger.handlers) - set(handlers):
            if type(handler) is logging.StreamHandler:  # pytest looks after its own
                logger.removeHandler(handler)


@pytest.fixture(autouse=True)
def _locale_as_it_was():
    """ITK's writer of DICOM sets the process to the C locale, in which later tests cannot read what commands print."""
    before = locale.setlocale(locale.LC_ALL)
    yield
    locale.setlocale(locale.LC_ALL, before)
