import csv
import os

import numpy as np

from segment.metrics.volumes_csv import VolumeTable

AFFINE = np.array([[0, -2.0, 0, 5], [3.0, 0, 0, 6], [0.5, 0, 5.0, 7], [0, 0, 0, 1]])  # rotated and sheared; 30 mm³


def rows(path):
    with path.open(newline="") as file:
        return list(csv.reader(file))


def mask(*counts):
    """A mask with these numbers of voxels of class 1, 2, …"""
    flat = np.repeat(np.arange(len(counts) + 1, dtype=np.uint8), [400 - sum(counts), *counts])
    return np.random.default_rng(0).permutation(flat).reshape(10, 8, 5)


def test_volumes_are_voxel_counts_times_voxel_volume(tmp_path):
    path = tmp_path / "volumes.csv"
    table = VolumeTable(path, ["liver", "spleen"])
    assert table.cases() == set()
    table.add("one", mask(100, 3), AFFINE)
    table.add('two, "late"', mask(1, 0), AFFINE)
    assert rows(path) == [
        ["case", "organ", "volume_ml"],
        ["one", "liver", "3.00"],
        ["one", "spleen", "0.09"],
        ['two, "late"', "liver", "0.03"],
        ['two, "late"', "spleen", "0.00"],
    ]
    assert table.cases() == {"one", 'two, "late"'}


def test_a_case_that_is_segmented_again_has_only_its_new_rows(tmp_path):
    path = tmp_path / "volumes.csv"
    table = VolumeTable(path, ["liver"])
    for name in ("one", "two", "three"):
        table.add(name, mask(100), AFFINE)
    table.remove({"two", "four"})
    table.add("two", mask(200), AFFINE)
    assert rows(path)[1:] == [["one", "liver", "3.00"], ["three", "liver", "3.00"], ["two", "liver", "6.00"]]


def test_processes_can_share_a_volume_table(tmp_path):
    table = VolumeTable(tmp_path / "volumes.csv", ["liver"])
    table.add("first", mask(1), AFFINE)
    children = []
    for number in range(3):
        if (child := os.fork()) == 0:
            for index in range(30):
                table.add(f"{number}-{index}", mask(1), AFFINE)
            os._exit(0)
        children.append(child)
    assert all(os.waitpid(child, 0)[1] == 0 for child in children)
    assert len(rows(table.path)) == 1 + 1 + 90
    assert len(table.cases()) == 91
