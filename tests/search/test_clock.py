from types import SimpleNamespace

import pytest

from segment.search import clock
from segment.search.clock import Clock


@pytest.fixture
def now(monkeypatch):
    """A time that the test sets."""
    now = SimpleNamespace(s=1000.0)
    monkeypatch.setattr(clock, "time", SimpleNamespace(time=lambda: now.s, monotonic=lambda: now.s))
    return now


def work(now, seconds: int, *clocks: Clock) -> list[bool]:
    for _ in range(seconds):
        over = [each.over() for each in clocks]
        now.s += 1
    return over


def test_time_worked_is_counted_and_time_between_kill_and_resume_is_not(now, tmp_path):
    path = tmp_path / "clock.json"
    assert work(now, 60, Clock(path, 0.02)) == [False]  # of 72 s
    now.s += 3600
    assert work(now, 10, Clock(path, 0.02)) == [False]
    assert work(now, 20, Clock(path, 0.02)) == [True]


def test_workers_at_the_same_time_do_not_count_twice(now, tmp_path):
    path = tmp_path / "clock.json"
    clocks = [Clock(path, 0.02) for _ in range(3)]
    assert work(now, 60, *clocks) == [False] * 3
    assert work(now, 20, *clocks) == [True] * 3


def test_no_budget_is_never_over_but_what_was_worked_counts_for_a_later_one(now, tmp_path):
    path = tmp_path / "clock.json"
    assert work(now, 300, Clock(path, None)) == [False]
    assert work(now, 1, Clock(path, 0.085)) == [False]  # of 306 s
    assert work(now, 20, Clock(path, 0.085)) == [True]
