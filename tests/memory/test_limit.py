import math

import pytest

from segment.memory.limit import free_in_groups, most_in_groups, slurm_limit

GB = 10**9


@pytest.fixture
def free(tmp_path):
    """Free memory for these lines of the membership file."""

    def call(*lines):
        (tmp_path / "membership").write_text("".join(f"{line}\n" for line in lines))
        return free_in_groups(tmp_path / "membership", tmp_path / "cgroup")

    return call


@pytest.fixture
def group(tmp_path):
    """Make a control group of version 2 or 1."""

    def make(path, limit, held, active=0, inactive=0, version=2):
        folder = tmp_path / "cgroup" / path
        folder.mkdir(parents=True, exist_ok=True)
        names = ("memory.max", "memory.current") if version == 2 else ("memory.limit_in_bytes", "memory.usage_in_bytes")
        for name, value in zip(names, (limit, held), strict=True):
            (folder / name).write_text(f"{value}\n")
        prefix = "" if version == 2 else "total_"
        stat = f"anon 5\n{prefix}active_file {active}\n{prefix}inactive_file {inactive}\nslab 7\n"
        (folder / "memory.stat").write_text(stat)

    return make


def test_usage_without_cached_files_is_subtracted_from_the_limit(free, group):
    group("job", 8 * GB, 5 * GB, active=GB, inactive=GB)
    assert free("0::/job") == 5 * GB


def test_the_tightest_limit_of_a_group_and_its_parents_applies(free, group):
    group("batch", 6 * GB, 4 * GB)
    group("batch/job", "max", 3 * GB)
    group("batch/job/step", 5 * GB, 1 * GB)
    assert free("0::/batch/job/step") == 2 * GB
    group("batch/job", 3 * GB, 4 * GB)  # above its limit
    assert free("0::/batch/job/step") == 0


def test_the_tightest_limit_counts_whatever_is_used(free, group, tmp_path):
    group("batch", 6 * GB, 4 * GB)
    group("batch/job", "max", 3 * GB)
    free("0::/batch/job")
    assert most_in_groups(tmp_path / "membership", tmp_path / "cgroup") == 6 * GB
    assert most_in_groups(tmp_path / "none", tmp_path) == math.inf


def test_version_1_is_mounted_in_a_subfolder_and_a_container_sees_only_its_own_group(free, group):
    group("memory", 4 * GB, 3 * GB, inactive=GB, version=1)
    assert free("5:cpu,cpuacct:/a", "4:cpuset,memory:/docker/0123", "0::/docker/0123") == 2 * GB


def test_without_groups_or_limits_memory_is_unlimited(free, tmp_path):
    assert free("0::/") == math.inf
    assert free("7:memory:/../outside") == math.inf
    assert free_in_groups(tmp_path / "none", tmp_path) == math.inf  # not Linux


@pytest.mark.parametrize(
    ("environment", "megabytes"),
    [
        ({}, math.inf),
        ({"SLURM_MEM_PER_NODE": "4096"}, 4096),
        ({"SLURM_MEM_PER_NODE": "0"}, math.inf),  # the whole node
        ({"SLURM_MEM_PER_NODE": "4G"}, math.inf),  # not set by SLURM, which writes megabytes
        ({"SLURM_MEM_PER_CPU": "1024", "SLURM_CPUS_ON_NODE": "4"}, 4096),
    ],
)
def test_a_job_is_limited_to_its_request(environment, megabytes):
    assert slurm_limit(environment) == megabytes * 2**20
