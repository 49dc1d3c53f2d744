import pytest

from segment.errors import UserError
from segment.memory import measure
from segment.memory.refuse import check_memory


def test_what_is_needed_and_what_is_there_are_named(monkeypatch):
    monkeypatch.setattr(measure, "free", lambda _: 2 * 10**9)
    check_memory(2e9, "a thing", "take less")
    with pytest.raises(UserError, match=r"^a thing needs 3.5 GB of memory, and 2 GB are free; take less$"):
        check_memory(3.5e9, "a thing", "take less")
