import os

import pytest

from segment.runtime.cores import allowed_cores


@pytest.fixture
def cores(tmp_path, monkeypatch):
    """Allowed cores of a process that may run on eight, for these lines of the membership file."""
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(8)), raising=False)
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)

    def call(*lines):
        (tmp_path / "membership").write_text("".join(f"{line}\n" for line in lines))
        return allowed_cores(tmp_path / "membership", tmp_path / "cgroup")

    return call


@pytest.fixture
def quota(tmp_path):
    """Limit a group: `quota("job", "150000 100000")` for version 2, or quota and period for version 1."""

    def make(path, *values):
        folder = tmp_path / "cgroup" / path
        folder.mkdir(parents=True, exist_ok=True)
        names = ("cpu.max",) if len(values) == 1 else ("cpu.cfs_quota_us", "cpu.cfs_period_us")
        for name, value in zip(names, values, strict=True):
            (folder / name).write_text(f"{value}\n")

    return make


def test_without_limits_the_assigned_cores_are_used(cores, quota):
    quota("job", "max 100000")
    assert cores("0::/job") == 8
    assert cores() == 8


@pytest.mark.parametrize(("value", "expected"), [("200000 100000", 2), ("150000 100000", 2), ("1000 100000", 1)])
def test_a_quota_is_rounded_up(cores, quota, value, expected):
    quota("job", value)
    assert cores("0::/job") == expected


def test_the_tightest_quota_of_a_group_and_its_parents_applies(cores, quota):
    quota("pod", "300000 100000")
    quota("pod/container", "500000 100000")
    assert cores("0::/pod/container") == 3


def test_version_1_writes_quota_and_period_apart(cores, quota):
    quota("cpu/docker", 400000, 100000)
    assert cores("3:cpu,cpuacct:/docker") == 4
    quota("cpu/docker", -1, 100000)
    assert cores("3:cpu,cpuacct:/docker") == 8


@pytest.mark.parametrize(("value", "expected"), [("3", 3), ("3,1", 3), ("20", 8), ("0", 8), ("many", 8)])
def test_the_users_number_of_threads_is_a_limit(cores, monkeypatch, value, expected):
    monkeypatch.setenv("OMP_NUM_THREADS", value)
    assert cores() == expected
