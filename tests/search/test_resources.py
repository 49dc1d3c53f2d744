from types import SimpleNamespace

import pytest

from segment.search import resources
from segment.search.resources import Clock, slots


@pytest.fixture
def now(monkeypatch):
    """A clock that the test sets."""
    now = SimpleNamespace(s=1000.0)
    monkeypatch.setattr(resources, "time", SimpleNamespace(time=lambda: now.s, monotonic=lambda: now.s))
    return now


def work(now, seconds: int, *clocks: Clock) -> list[bool]:
    for _ in range(seconds):
        over = [each.over() for each in clocks]
        now.s += 1
    return over


def test_time_between_kill_and_resume_is_not_counted(now, tmp_path):
    path = tmp_path / "clock.json"
    assert work(now, 60, Clock(path, 0.02)) == [False]  # 72 s
    now.s += 3600
    assert work(now, 10, Clock(path, 0.02)) == [False]
    assert work(now, 20, Clock(path, 0.02)) == [True]


def test_simultaneous_workers_are_counted_once(now, tmp_path):
    path = tmp_path / "clock.json"
    clocks = [Clock(path, 0.02) for _ in range(3)]
    assert work(now, 60, *clocks) == [False] * 3
    assert work(now, 20, *clocks) == [True] * 3


def test_time_without_a_budget_counts_for_a_later_budget(now, tmp_path):
    path = tmp_path / "clock.json"
    assert work(now, 300, Clock(path, None)) == [False]
    assert work(now, 1, Clock(path, 0.085)) == [False]  # 306 s
    assert work(now, 20, Clock(path, 0.085)) == [True]


def test_single_trial_gets_no_variables():
    assert slots(1, 8, ["0", "1"], {}) == [{}]


def test_several_trials_share_cores_and_gpus():
    assert slots(3, 8, ["4", "6"], {}) == [
        {"OMP_NUM_THREADS": "2", "CUDA_VISIBLE_DEVICES": "4"},
        {"OMP_NUM_THREADS": "2", "CUDA_VISIBLE_DEVICES": "6"},
        {"OMP_NUM_THREADS": "2", "CUDA_VISIBLE_DEVICES": "4"},
    ]
    assert slots(2, 1, ["0"], {}) == [{"OMP_NUM_THREADS": "1"}] * 2


def test_number_of_threads_set_by_the_user_is_kept():
    assert slots(2, 8, [], {"OMP_NUM_THREADS": "3"}) == [{}, {}]
