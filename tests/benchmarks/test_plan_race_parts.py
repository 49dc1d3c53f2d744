"""The parts of benchmarks/plan_race.py that decide what its sets hold and what its table says."""

import csv
import sys
from dataclasses import replace
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

sys.path.append(str(Path(__file__).parents[2] / "benchmarks"))

import plan_race_data
from plan_race import rows
from plan_race_data import ORGANS, SETS, annotated, box_around, shape_of, write_set
from race_job import cosine

from segment.datasets.sources.manifest import Manifest
from segment.phantom import LABELS


def test_a_set_is_a_table_of_files_that_training_reads(tmp_path, monkeypatch):
    coarse = {name: replace(one, spacing_mm=lambda _: (9.0, 9.0, 9.0)) for name, one in SETS.items()}
    monkeypatch.setattr(plan_race_data, "SETS", coarse)
    table = write_set(tmp_path, "mixed", 31, {"train": 2, "val": 1, "test": 1})
    written = [path.stat().st_mtime_ns for path in sorted(tmp_path.glob("*.nii.gz"))]
    assert write_set(tmp_path, "mixed", 31, {"train": 2, "val": 1, "test": 1}) == table
    assert [path.stat().st_mtime_ns for path in sorted(tmp_path.glob("*.nii.gz"))] == written
    cases = Manifest(table).cases("manifest")
    assert [case.part for case in cases] == ["train", "train", "val", "test"]
    assert [sorted(case.label.structures) for case in cases] == [
        sorted(ORGANS),
        ["liver"],
        sorted(ORGANS),
        sorted(ORGANS),
    ]
    with table.open() as file:
        images = [row["image"] for row in csv.DictReader(file)]
    assert np.allclose(nib.load(tmp_path / images[0]).header.get_zooms(), 9, rtol=0.1)


def test_only_training_cases_are_partly_labelled():
    parts = [annotated(SETS["mixed"], index, "train") for index in range(5)]
    assert parts == [ORGANS, ("liver",), ("right_kidney", "left_kidney"), ("spleen",), ORGANS]
    assert annotated(SETS["mixed"], 1, "test") == ORGANS
    assert annotated(SETS["tiny"], 1, "train") == ORGANS


@pytest.mark.parametrize("at", [(0, 0, 0), (15, 8, 3), (29, 29, 9)])
def test_a_small_field_of_view_holds_an_organ_and_lies_within_the_ct(at):
    label = np.zeros((30, 30, 10), np.uint8)
    label[at] = LABELS["spleen"]
    box = box_around(label, np.array((8, 6, 20)), np.random.default_rng(0))
    assert label[box].any()
    assert label[box].shape == (8, 6, 10)


def test_voxels_come_as_close_to_a_size_as_whole_numbers_allow():
    assert shape_of(np.array((400.0, 300.0, 50.0)), np.array((1.5, 1.5, 5.0))) == (267, 200, 16)


def test_the_learning_rate_rises_in_the_warm_up():
    assert [round(cosine(2.0, share, 0.1), 6) for share in (0, 0.05, 0.1, 0.55, 1)] == [0, 1, 2, 1, 0]


def test_the_table_states_means_difference_and_verdict():
    summary = [
        {"arm": arm, "organ": "right_kidney", "metric": "dice", "mean": mean, "low": "0.5", "high": "0.9"}
        for arm, mean in (("A", "0.7"), ("B", "0.6"), ("C", "0.8"), ("D", "0.9"))
    ]
    difference = {"first": "A", "second": "C", "organ": "right_kidney", "metric": "dice", "difference": "0.1"}
    difference |= {"low": "0.05", "high": "0.15"}
    for better, verdict in (("C", "planned"), ("A", "quick"), ("", "-")):
        (line,) = rows("thick", summary, [difference | {"better": better}])
        assert line == (
            "| thick | planned | dice | right kidney "
            f"| 0.700 [0.500, 0.900] | 0.800 [0.500, 0.900] | 0.100 [0.050, 0.150] | {verdict} |"
        )
    (line,) = rows("thick", summary, [difference | {"second": "D", "better": "D"}])
    assert line.startswith("| thick | starter | dice | right kidney | 0.700 [0.500, 0.900] | 0.900 [0.500, 0.900] ")
    assert line.endswith("| starter |")
