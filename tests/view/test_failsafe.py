import logging

import pytest

from segment.view import failsafe


def test_an_error_is_logged_and_ends_only_the_block(caplog):
    with caplog.at_level(logging.WARNING), failsafe.warn_on_error("x.png of a"):
        raise MemoryError
    assert caplog.messages == ["cannot make x.png of a: MemoryError: "]


def test_an_interrupt_is_raised():
    with pytest.raises(KeyboardInterrupt), failsafe.warn_on_error("x.png"):
        raise KeyboardInterrupt
