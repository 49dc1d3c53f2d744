"""The parts of the benchmarks that decide what a table says. The benchmarks themselves are no tests."""

import sys
from pathlib import Path

import pytest

sys.path.append(str(Path(__file__).parents[2] / "benchmarks"))

import finetune
from race_job import Clock, Job, cosine, read_job
from results import mean_dice, open_record, read_rows, write_rows

from segment.datasets.annotation_files import LabelFile
from segment.datasets.cases import Case


def case(name, patient, made_from=None):
    return Case(name, patient, Path(name), LabelFile(Path(name), {}), made_from=made_from)


def job(folder, minutes):
    return Job("segment", folder, folder / "data", minutes, 1, 3.0, 64, 0, ("a=1",), 2.0, 1e-3)


def test_a_clock_saves_every_mark_once_and_says_when_the_last_has_passed(tmp_path, monkeypatch):
    clock, saved = Clock(job(tmp_path, (1.0, 2.0, 4.0))), []
    for minutes, expected, ends in ((0.5, 0, False), (1.2, 1, False), (1.3, 1, False), (4.1, 3, True)):
        monkeypatch.setattr(clock, "minutes", lambda minutes=minutes: minutes)
        assert clock.save_if_due(7, saved.append) is ends
        assert len(saved) == expected
    assert [path.name for path in saved] == ["at_1.ckpt", "at_2.ckpt", "at_4.ckpt"]
    assert clock.job.done
    assert clock.job.passed()["4"]["cpu_minutes"] == 4.1
    assert clock.share() == 1


def test_a_job_survives_its_file(tmp_path):
    one = job(tmp_path, (1.0, 2.0))
    one.write()
    assert read_job(one.file) == one


def test_the_learning_rate_falls_from_its_first_value_to_zero():
    assert [round(cosine(2.0, share), 6) for share in (0, 0.5, 1)] == [2, 1, 0]


def test_means_are_over_cases_then_organs_and_leave_nan_out(tmp_path):
    dice = [("a", "liver", 0.8), ("b", "liver", 0.6), ("a", "spleen", 0.1), ("b", "spleen", float("nan"))]
    rows = [{"row": "x", "set": "1", "case": name, "organ": organ, "dice": value} for name, organ, value in dice]
    write_rows(tmp_path / "rows.csv", rows)
    means = mean_dice(read_rows(tmp_path / "rows.csv"), ("row",))[("x",)]
    assert means["liver"] == pytest.approx(0.7)
    assert means["mean"] == pytest.approx((0.7 + 0.1) / 2)


def test_training_cases_are_of_other_patients_and_made_cases_only_train():
    real = [case(f"real/{n}", f"real/{n}") for n in range(6)]
    made = [case(f"made/{n}", f"real/{n}", real[n]) for n in range(6)]
    for seed in range(5):
        split = finetune.choose([*real, *made], 2, 2, 2, "made/", seed)
        assert [len(split[part]) for part in ("train", "val", "test")] == [2, 2, 2]
        numbers = [name.partition("/")[2] for part in split.values() for name in part]
        assert len(set(numbers)) == 6
        assert all(name.startswith("made/") for name in split["train"])
    with pytest.raises(SystemExit, match="take smaller numbers"):
        finetune.choose(real, 3, 2, 2, "", 0)


def test_other_settings_in_the_same_folder_are_refused(tmp_path):
    record = open_record(tmp_path / "a.json", {"seed": 0, "rows": ["x"], "out": tmp_path}, free=["rows"])
    assert record["settings"] == {"seed": 0, "rows": ["x"]}
    again = open_record(tmp_path / "a.json", {"seed": 0, "rows": ["y"], "out": Path("b")}, free=["rows"])
    assert (again["settings"]["rows"], len(again["starts"])) == (["y"], 2)
    with pytest.raises(SystemExit, match="seed=0, not 1"):
        open_record(tmp_path / "a.json", {"seed": 1}, free=[])
