import logging

import pytest

from segment.commands.each_case import process_each, raise_failures
from segment.errors import UserError


def work(item):
    if item == "bad":
        msg = "the CT is truncated"
        raise UserError(msg)
    return f"{1 / item:.1f} s"


def test_the_other_items_are_processed_after_a_failure(caplog):
    caplog.set_level(logging.INFO)
    failed = process_each({"a.nii": 2, "b.nii": "bad", "c.nii": 0, "d.nii": 4}, work)
    assert failed == ["b.nii: the CT is truncated", "c.nii: ZeroDivisionError: division by zero"]
    assert [record.message for record in caplog.records] == [
        "1/4 a.nii: 0.5 s",
        "2/4 b.nii: the CT is truncated",
        "3/4 c.nii: ZeroDivisionError: division by zero",
        "4/4 d.nii: 0.2 s",
    ]
    assert not any(record.exc_info for record in caplog.records)


def test_every_line_but_the_last_shows_the_time_left_for_all(caplog, monkeypatch):
    clock = iter([0, 30, 60, 150, 160])
    monkeypatch.setattr("segment.commands.each_case.time.monotonic", lambda: next(clock))
    caplog.set_level(logging.INFO)
    process_each({"a": 2, "b": "bad", "c": 4, "d": 1}, work)
    assert [record.message for record in caplog.records] == [
        "1/4 a: 0.5 s (1 min 30 s left)",
        "2/4 b: the CT is truncated (1 min 00 s left)",
        "3/4 c: 0.2 s (50 s left)",
        "4/4 d: 1.0 s",
    ]


def test_tracebacks_are_logged_at_debug_level(caplog):
    caplog.set_level(logging.DEBUG)
    process_each({"c.nii": 0}, work)
    assert "ZeroDivisionError" in caplog.text
    assert "Traceback" in caplog.text


def test_an_interrupt_ends_the_batch():
    def interrupted(item):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        process_each({"a": 1, "b": 2}, interrupted)


def test_failures_are_raised_at_the_end():
    raise_failures([], 3)
    with pytest.raises(UserError) as info:
        raise_failures(["b: truncated", "c: empty"], 3)
    assert str(info.value) == "2 of 3 failed:\n  b: truncated\n  c: empty"
