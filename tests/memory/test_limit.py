import math

import pytest

from segment.memory.limit import free_in_groups, slurm_limit

GB = 10**9


@pytest.fixture
def free(tmp_path):
    """What is free where these lines tell the groups."""

    def call(*lines):
        (tmp_path / "membership").write_text("".join(f"{line}\n" for line in lines))
        return free_in_groups(tmp_path / "membership", tmp_path / "cgroup")

    return call


@pytest.fixture
def group(tmp_path):
    """Makes a control group of version 2 or 1."""

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


def test_what_a_group_holds_is_taken_off_its_limit_but_for_copies_of_files(free, group):
    group("job", 8 * GB, 5 * GB, active=GB, inactive=GB)
    assert free("0::/job") == 5 * GB


def test_the_closest_limit_of_a_group_and_those_around_it_counts(free, group):
    group("batch", 6 * GB, 4 * GB)
    group("batch/job", "max", 3 * GB)
    group("batch/job/step", 5 * GB, 1 * GB)
    assert free("0::/batch/job/step") == 2 * GB
    group("batch/job", 3 * GB, 4 * GB)  # more than it may: nothing is free
    assert free("0::/batch/job/step") == 0


def test_version_1_has_a_place_of_its_own_and_containers_see_only_their_group(free, group):
    group("memory", 4 * GB, 3 * GB, inactive=GB, version=1)
    assert free("5:cpu,cpuacct:/a", "4:cpuset,memory:/docker/0123", "0::/docker/0123") == 2 * GB


def test_without_limits_or_groups_memory_is_the_machine_s(free, tmp_path):
    assert free("0::/") == math.inf
    assert free("7:memory:/../outside") == math.inf
    assert free_in_groups(tmp_path / "none", tmp_path) == math.inf  # not Linux


@pytest.mark.parametrize(
    ("environment", "megabytes"),
    [
        ({}, math.inf),
        ({"SLURM_MEM_PER_NODE": "4096"}, 4096),
        ({"SLURM_MEM_PER_NODE": "0"}, math.inf),  # all that the node has
        ({"SLURM_MEM_PER_NODE": "4G"}, math.inf),  # as a user may have set it; SLURM itself gives megabytes
        ({"SLURM_MEM_PER_CPU": "1024", "SLURM_CPUS_ON_NODE": "4"}, 4096),
    ],
)
def test_a_job_has_what_it_asked_slurm_for(environment, megabytes):
    assert slurm_limit(environment) == megabytes * 2**20
