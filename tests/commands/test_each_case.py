import logging

import pytest

from segment.commands.each_case import name_failures, work_through
from segment.errors import UserError


def work(item):
    if item == "bad":
        msg = "the CT is cut"
        raise UserError(msg)
    return f"{1 / item:.1f} s"


def test_work_goes_on_past_what_fails(caplog):
    caplog.set_level(logging.INFO)
    failed = work_through({"a.nii": 2, "b.nii": "bad", "c.nii": 0, "d.nii": 4}, work)
    assert failed == ["b.nii: the CT is cut", "c.nii: ZeroDivisionError: division by zero"]
    assert [record.message for record in caplog.records] == [
        "1/4 a.nii: 0.5 s",
        "2/4 b.nii: the CT is cut",
        "3/4 c.nii: ZeroDivisionError: division by zero",
        "4/4 d.nii: 0.2 s",
    ]
    assert not any(record.exc_info for record in caplog.records)


def test_tracebacks_are_there_for_those_who_look(caplog):
    caplog.set_level(logging.DEBUG)
    work_through({"c.nii": 0}, work)
    assert "ZeroDivisionError" in caplog.text
    assert "Traceback" in caplog.text


def test_an_interrupt_ends_the_batch():
    def interrupted(item):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        work_through({"a": 1, "b": 2}, interrupted)


def test_failures_are_named_at_the_end():
    name_failures([], 3)
    with pytest.raises(UserError) as info:
        name_failures(["b: cut", "c: empty"], 3)
    assert str(info.value) == "2 of 3 failed:\n  b: cut\n  c: empty"
