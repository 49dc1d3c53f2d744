"""The command `segment compare` on synthetic run folders with known differences."""

import base64
import csv
import io
import json
import math
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import run_commands
from omegaconf import OmegaConf
from page_data import data_of
from PIL import Image
from run_folders import ORGANS, Study, write_run

from segment.__main__ import main
from segment.commands.merge import merge
from segment.comparison.merge_cases import merge_cases, write_merged
from segment.errors import UserError

DOCUMENT = Path(__file__).parents[2] / "docs" / "compare.md"


@pytest.fixture
def compare(tmp_path, monkeypatch, invoke):
    """Run the command in a temporary folder; returns exit code, stdout and stderr."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "100")

    def call(*arguments):
        words = [str(argument) for argument in arguments]
        resamples = [] if any("resamples" in word for word in words) else ["resamples=999"]
        # Each call must execute the module again.
        monkeypatch.delitem(sys.modules, "segment.commands.compare", raising=False)
        return invoke(main, "compare", *words, *resamples)

    return call


def read(path):
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def verdict(folder):
    """The sentences of all pairs."""
    comparison = json.loads((folder / "comparison.json").read_text())
    return [sentence for pair in comparison["verdicts"] for sentence in pair["sentences"]]


def note(folder, row):
    """The note that a row of differences.csv refers to."""
    comparison = json.loads((folder / "comparison.json").read_text())
    return comparison["notes"][int(row["note"].strip("[]")) - 1]


def test_five_seeds_do_not_differ_from_five_others(compare, tmp_path):
    study = Study()
    study.sweep(tmp_path / "first", range(5))
    study.sweep(tmp_path / "second", range(5, 10))
    code, out, err = compare("first", "second", "output=out")
    assert (code, err) == (0, "")
    assert "A: first (5 seeds)" in out
    assert "B: second (5 seeds)" in out
    assert "2 arms on 20 test cases: 0 of 9 tests show a difference" in out
    assert "is better" not in out
    assert all(row["better"] == "" for row in read(tmp_path / "out" / "differences.csv"))


def test_one_sweep_of_five_seeds_is_one_arm_with_the_sd_of_its_seeds(compare, tmp_path):
    Study().sweep(tmp_path / "sweep", range(5))
    code, out, _ = compare("sweep", "output=out")
    assert code == 0
    assert "There is one arm: 5 runs of one configuration, so there is nothing to compare" in out
    assert read(tmp_path / "out" / "differences.csv") == []
    rows = read(tmp_path / "out" / "summary.csv")
    dice = {run: [float(row["dice"]) for row in read(run) if row["organ"] == "liver"] for run in tables(tmp_path)}
    assert float(rows[0]["sd_seeds"]) == pytest.approx(np.std([np.mean(each) for each in dice.values()], ddof=1))
    assert (rows[0]["patients"], rows[0]["seeds"], rows[0]["organ"]) == ("20", "5", "liver")


def tables(folder):
    return sorted((folder / "sweep").glob("*/cases.csv"))


def test_a_worse_recipe_is_found(compare, tmp_path):
    study = Study()
    study.sweep(tmp_path / "sweep", range(3), channels=16)
    for seed in range(3):
        study.run(tmp_path / "sweep" / f"worse{seed}", seed, shift=-0.05, channels=2)
    code, out, _ = compare("sweep", "output=out")
    assert code == 0
    assert "A: model.net.base_channels=16 (3 seeds)" in out
    assert "B: model.net.base_channels=2 (3 seeds)" in out
    rows = read(tmp_path / "out" / "differences.csv")
    assert {row["better"] for row in rows} == {"A"}
    assert re.search(r"Dice: A is better than B on liver by \d\.\d points \[\d\.\d, \d\.\d\], right kidney by", out)
    assert re.search(r"HD95 in mm: A is better than B on liver by \d\.\d mm \[", out)
    liver = next(row for row in rows if row["organ"] == "liver" and row["metric"] == "dice")
    assert float(liver["difference"]) == pytest.approx(-0.05, abs=0.02)
    assert float(liver["low"]) < float(liver["difference"]) < float(liver["high"]) < 0
    assert float(liver["p_holm"]) < 0.05


def test_one_seed_each_limits_the_verdict_to_the_trained_networks(compare, tmp_path):
    study = Study()
    study.run(tmp_path / "a", shift=0.0)
    study.run(tmp_path / "b", shift=-0.05, channels=2)
    code, out, _ = compare("a", "b", "output=out")
    assert code == 0
    assert "A is better than B on liver" in out
    assert re.search(r"One seed each \[\d\]\.", out)
    assert "one seed each: this holds for these trained networks; the variation between seeds is unknown" in out


def test_one_seed_is_assumed_to_vary_like_the_seeds_of_the_other_arm(compare, tmp_path):
    study = Study()
    study.sweep(tmp_path / "many", range(4))
    study.run(tmp_path / "one", 9, channels=2)
    _, out, _ = compare("many", "one", "output=out")
    assert "B has one seed; its seeds are assumed to vary as much as those of A." in out


def test_five_patients_are_too_few_and_a_note_says_so(compare, tmp_path):
    study = Study(patients=5)
    study.run(tmp_path / "a")
    study.run(tmp_path / "b", shift=-0.3, channels=2)
    code, out, _ = compare("a", "b", "output=out", "metrics=[dice]")
    assert code == 0
    assert "is better" not in out
    assert "no significant difference on liver, right kidney and spleen [1]" in out
    assert "[1] 5 patients are too few: Wilcoxon's p is 0.062 at best, or 0.19 corrected for 3 test(s)\n" in out
    assert out.count("are too few") == 1


def test_patients_with_equal_scores_do_not_count_as_many(compare, tmp_path):
    study = Study()
    same = study.dice()
    other = {organ: np.where(np.arange(20) < 3, dice - 0.1, dice) for organ, dice in same.items()}
    write_run(tmp_path / "a", study.test, same, study.train)
    write_run(tmp_path / "b", study.test, other, study.train, channels=2)
    code, out, _ = compare("a", "b", "output=out", "metrics=[dice]")
    assert code == 0
    assert "[1] only 3 of 20 patients differ, which are too few: Wilcoxon's p is 0.25 at best, or 0.75 corrected" in out


def test_runs_named_one_by_one_are_grouped_by_configuration(compare, tmp_path):
    study = Study()
    for seed in range(2):
        study.run(tmp_path / f"wide{seed}", seed)
        study.run(tmp_path / f"narrow{seed}", seed, channels=2, task="another")
    _, out, _ = compare("wide0", "narrow0", "wide1", "narrow1", "output=out")
    assert "A: model.net.base_channels=16 (2 seeds)" in out
    assert "B: model.net.base_channels=2 (2 seeds)" in out


def test_a_pattern_is_an_arm_and_absolute_paths_are_not_shown(compare, tmp_path):
    study = Study()
    for seed in range(2):
        study.run(tmp_path / "runs" / f"lr=0.1,{seed}", seed)
        study.run(tmp_path / "runs" / f"lr=0.2,{seed}", seed + 2)
    code, out, err = compare(tmp_path / "runs" / "lr=0.1*", "runs/lr=0.2*", "output=out")
    assert (code, err) == (0, "")
    assert "B: runs/lr=0.2* (2 seeds)" in out
    assert str(tmp_path) not in (tmp_path / "out" / "index.html").read_text()


def evaluated(study, folder, shift):
    """The run folder of the evaluation of a checkpoint that has the name of the folder as hash."""
    study.run(folder, shift=shift)
    with (folder / "config.yaml").open("a") as file:
        file.write(f"ckpt: best.ckpt\nckpt_sha256: {folder.name}\n")
    return folder


def test_evaluations_of_two_checkpoints_are_named_after_their_folders(compare, tmp_path):
    """They record no training cases, and their configurations differ only in a hash, which is not shown."""
    study = Study()
    for name, shift in (("before", 0.0), ("after", -0.05)):
        folder = evaluated(study, tmp_path / name, shift)
        (folder / "split.json").write_text(json.dumps({"test": study.test}))
    code, out, _ = compare("before", "after", "output=out")
    assert code == 0
    assert "A: before (1 seed)" in out
    assert "B: after (1 seed)" in out
    assert "A is better than B on liver" in out
    assert "note: the training cases of before and 1 more are not recorded beside the scores" in out


def test_two_checkpoints_of_one_training_are_two_arms_if_each_is_a_pattern(compare, tmp_path):
    """For example, the best and the last one; otherwise they would count as repeats of one seed."""
    study = Study()
    for name, shift in (("best", 0.0), ("last", -0.05)):
        folder = evaluated(study, tmp_path / name, shift)
        environment = json.loads((folder / "environment.json").read_text())
        environment |= {"trained": [{"model.net.base_channels": 16, "seed": 3}]}
        (folder / "environment.json").write_text(json.dumps(environment))
    code, _, err = compare("best", "last", "output=out")
    assert code == 2
    assert "best and last scored different checkpoints of one recipe and seed 3, which would count as rep" in err
    code, out, _ = compare("bes*", "las*", "output=out")
    assert code == 0
    assert "A: best (1 seed)" in out
    assert "B: last (1 seed)" in out


def test_paths_of_runs_may_contain_equals_signs_and_quotes(compare, tmp_path):
    study = Study()
    study.run(tmp_path / "a=1")
    study.run(tmp_path / 'b"2')
    code, out, _ = compare("a=1", 'b"2', "output=out")
    assert code == 0
    assert "There is one arm: 2 runs" in out


def test_the_reference_is_compared_with_every_other_arm(compare, tmp_path):
    study = Study()
    for channels in (2, 4, 8):
        study.run(tmp_path / str(channels), channels=channels)
    compare("2", "4", "8", "output=all")
    compare("2", "4", "8", "output=letter", "reference=B")
    compare("2", "4", "8", "output=name", "reference=4")
    pairs = [
        {(row["first"], row["second"]) for row in read(tmp_path / name / "differences.csv")}
        for name in ("all", "letter", "name")
    ]
    assert pairs == [{("A", "B"), ("A", "C"), ("B", "C")}, {("B", "A"), ("B", "C")}, {("B", "A"), ("B", "C")}]
    code, _, err = compare("2", "4", "8", "output=none", "reference=Z")
    assert code == 2
    assert err.startswith("error: reference=Z is not an arm of this comparison; give a letter: A: ")


def merged_folds(study, folder, shift=0.0, channels=(16, 16, 16)):
    """Three folds of a cross-validation, each trained on the test cases of the others, and their merged table."""
    dice = study.dice(shift)
    for fold in range(3):
        test = study.test[fold::3]
        train = [case for case in study.test if case not in test]
        fold_dice = {organ: each[fold::3] for organ, each in dice.items()}
        write_run(folder / str(fold), test, fold_dice, train, channels=channels[fold])
    write_merged(folder / "cases.csv", merge_cases([folder / str(fold) / "cases.csv" for fold in range(3)]))
    return folder


def test_merged_folds_are_compared_as_one_run(compare, tmp_path):
    """Every case is a training case of some fold and a test case of another, which is no leak."""
    study = Study()
    merged_folds(study, tmp_path / "good")
    merged_folds(study, tmp_path / "bad", shift=-0.05)
    code, out, err = compare("good", "bad/cases.csv", "output=out")
    assert (code, err) == (0, "")
    assert "A: good (1 seed)" in out
    assert "A is better than B on liver" in out
    assert "2 arms on 20 test cases" in out


def without_last_case(lines):
    return [line for line in lines if not line.startswith(lines[-1].split(",")[0])]


def with_scores_of_an_earlier_test(lines):
    case, organ, dice, *others = lines[-1].split(",")
    return [*lines[:-1], ",".join([case, organ, f"{float(dice) - 0.01}", *others])]


@pytest.mark.parametrize("damage", [without_last_case, with_scores_of_an_earlier_test])
def test_an_outdated_merged_table_is_refused_until_it_is_merged_again(compare, tmp_path, damage):
    merged_folds(Study(), tmp_path / "good")
    merged_folds(Study(), tmp_path / "bad", shift=-0.05)
    table = tmp_path / "bad" / "cases.csv"
    lines = table.read_text().splitlines(keepends=True)
    lines = list(damage(lines))
    table.write_text("".join(lines))
    code, _, err = compare("good", "bad", "output=out")
    remedy = "segment merge runs=bad overwrite=true"
    assert (code, err) == (
        2,
        f"error: bad/cases.csv has other scores than the runs beside it; merge them again: {remedy}\n",
    )
    again = OmegaConf.create({"runs": "bad", "output": None, "overwrite": False})
    with pytest.raises(UserError, match=r"^bad/cases\.csv exists; choose another output=, or overwrite=true$"):
        merge(again)
    merge(OmegaConf.merge(again, {"overwrite": True}))
    assert compare("good", "bad", "output=out")[0] == 0


def test_a_merged_table_in_the_working_folder_has_nothing_to_do_with_the_runs_below_it(compare, tmp_path):
    study = Study()
    study.run(tmp_path / "outputs" / "quick" / "other")
    for name, shift in (("a", 0.0), ("b", -0.05)):
        merged_folds(study, tmp_path / "outputs" / "folds" / name, shift)
    (tmp_path / "outputs" / "folds" / "a" / "cases.csv").rename(tmp_path / "cases.csv")
    code, out, err = compare("cases.csv", "outputs/folds/b", "output=out")
    assert (code, err) == (0, "")
    assert "A is better than B on liver" in out


def test_a_merged_table_of_several_recipes_is_refused(compare, tmp_path):
    study = Study()
    merged_folds(study, tmp_path / "grid", channels=(16, 16, 2))
    merged_folds(study, tmp_path / "folds")
    code, _, err = compare("grid", "folds", "output=out")
    assert code == 2
    assert err == (
        "error: grid/0 and grid/2 have different recipes, so they are not folds of one: model.net.base_channels is "
        "16 in the first and 2 in the other; merge the folds of each recipe separately: 'runs=[a,b]'\n"
    )


def test_a_table_without_its_run_folder_can_be_compared(compare, tmp_path):
    study = Study()
    study.run(tmp_path / "a")
    (study.run(tmp_path / "b", shift=-0.05) / "cases.csv").rename(tmp_path / "table.csv")
    code, out, _ = compare("a", "table.csv", "output=out")
    assert code == 0
    assert "A is better than B on liver" in out
    assert "note: the training cases of table.csv are not recorded beside the scores" in out


def test_folds_without_a_merged_table_are_refused_with_a_hint_to_merge(compare, tmp_path):
    merged_folds(Study(), tmp_path / "folds")
    (tmp_path / "folds" / "cases.csv").unlink()
    code, _, err = compare("folds", "output=out")
    assert code == 2
    assert "merge the folds of each setting: segment merge" in err


@pytest.mark.parametrize("order", [("a", "b"), ("b", "a")])
def test_different_test_cases_are_refused(compare, tmp_path, order):
    study, other = Study(), Study()
    other.test = ["set/train_03", *study.test[1:]]
    other.train = ["set/test_00", *[case for case in study.train if case != "set/train_03"]]
    study.run(tmp_path / "a")
    other.run(tmp_path / "b", channels=2)
    code, out, err = compare(*order, "output=out")
    assert (code, out) == (2, "")
    only = {"a": "only a tested set/test_00", "b": "only b tested set/train_03"}
    assert err.startswith(f"error: the test cases differ: {only[order[0]]} and {only[order[1]]}, and ")
    assert "was trained or selected on" in err
    assert "train all runs on the same split, e.g. split.seed=0" in err
    assert not (tmp_path / "out").exists()


def test_a_run_trained_on_a_test_case_under_another_name_is_refused(compare, tmp_path):
    study = Study()
    contents = {case: f"content of {case}" for case in [*study.train, *study.test]}
    study.run(tmp_path / "a")
    study.run(tmp_path / "b", channels=2, voxels=contents | {"set/train_07": "content of set/test_04"})
    code, _, err = compare("a", "b", "output=out")
    assert code == 2
    assert err == (
        "error: b was trained or selected on set/test_04 under the name set/train_07, which b tested; "
        "compare runs that have not seen their test cases\n"
    )


def test_a_leak_is_found_if_only_the_other_run_recorded_the_content(compare, tmp_path):
    study = Study()
    contents = {case: f"content of {case}" for case in [*study.train, *study.test]}
    study.run(tmp_path / "a")
    study.run(tmp_path / "b", channels=2, voxels={"set/train_07": contents["set/test_04"]})
    code, _, err = compare("a", "b", "output=out")
    assert code == 2
    assert "b was trained or selected on set/test_04 under the name set/train_07, which a tested" in err


def test_different_voxels_under_the_same_name_are_refused(compare, tmp_path):
    study = Study()
    contents = {case: f"content of {case}" for case in [*study.train, *study.test]}
    study.run(tmp_path / "a")
    study.run(tmp_path / "b", channels=2, voxels=contents | {"set/test_04": "another CT"})
    code, _, err = compare("a", "b", "output=out")
    assert code == 2
    assert err.startswith("error: set/test_04 has different voxels in a and b")


def test_different_reference_labels_are_refused(compare, tmp_path):
    study = Study()
    study.run(tmp_path / "a")
    table = study.run(tmp_path / "b", channels=2) / "cases.csv"
    table.write_text(table.read_text().replace(",104.0,", ",90.0,"))
    code, _, err = compare("a", "b", "output=out")
    assert code == 2
    assert err.startswith("error: the ground truth of liver in set/test_04 has 104.0 mL in a and 90.0 mL in b: labels")
    assert "labels or data changed; test both runs" in err


def test_cases_of_older_runs_are_matched_by_name_with_a_note(compare, tmp_path):
    study = Study()
    study.run(tmp_path / "a", voxels={})
    study.run(tmp_path / "b", channels=2)
    code, out, _ = compare("a", "b", "output=out")
    assert code == 0
    assert "note: a did not record the content of the CTs: cases are matched by name only" in out


def test_shared_organs_are_compared_and_others_are_left_out(compare, tmp_path):
    study = Study()
    study.run(tmp_path / "a")
    dice = study.dice()
    write_run(tmp_path / "b", study.test, {"liver": dice["liver"]}, study.train, channels=2)
    code, out, _ = compare("a", "b", "output=out")
    assert code == 0
    assert "note: left out: right_kidney, spleen, which not every run scores" in out
    assert {row["organ"] for row in read(tmp_path / "out" / "summary.csv")} == {"liver"}
    write_run(tmp_path / "c", study.test, {"aorta": dice["liver"]}, study.train, channels=2)
    code, _, err = compare("b", "c", "output=out2")
    assert code == 2
    assert err == "error: b scores liver and c scores aorta: they share no organ; compare runs of the same organs\n"


def test_nsd_is_left_out_if_tolerances_differ(compare, tmp_path):
    study = Study()
    study.run(tmp_path / "a")
    study.run(tmp_path / "b", channels=2, tolerance=5)
    code, out, _ = compare("a", "b", "output=out")
    assert code == 0
    assert "note: nsd is left out: tolerance_mm.liver is 3, 5 in different runs" in out
    assert {row["metric"] for row in read(tmp_path / "out" / "summary.csv")} == {"dice", "hd95_mm"}


def test_nsd_of_unknown_tolerance_has_a_note(compare, tmp_path):
    study = Study()
    study.run(tmp_path / "a")
    study.run(tmp_path / "b", channels=2).joinpath("cases.csv").rename(tmp_path / "b.csv")
    note = "note: b.csv did not record tolerance_mm: nsd is comparable only if it is the same in all runs"
    assert note in compare("a", "b.csv", "output=out")[1]
    assert "did not record tolerance_mm" not in compare("a", "b.csv", "output=out2", "metrics=[dice]")[1]


def test_nsd_alone_is_refused_if_tolerances_differ(compare, tmp_path):
    study = Study(patients=6)
    study.run(tmp_path / "a")
    study.run(tmp_path / "b", channels=2, tolerance=5)
    code, _, err = compare("a", "b", "output=out", "metrics=[nsd]")
    assert code == 2
    assert err == (
        "error: nsd cannot be compared: tolerance_mm.liver is 3, 5 in different runs; "
        "ask for other metrics, e.g. metrics=[dice,hd95_mm]\n"
    )


def test_a_metric_named_twice_is_compared_once(compare, tmp_path):
    study = Study(patients=8)
    study.run(tmp_path / "a")
    study.run(tmp_path / "b", channels=2)
    code, out, _ = compare("a", "b", "output=out", "metrics=[dice,dice]")
    assert code == 0
    assert " of 3 tests show" in out
    assert len(verdict(tmp_path / "out")) == 2  # one on Dice, one on seeds
    assert len(read(tmp_path / "out" / "differences.csv")) == 3


def test_distances_that_leave_out_failures_prevent_a_claim(compare, tmp_path):
    """B finds no spleen in three patients and has smaller distances in the others."""
    study = Study()
    good = study.dice()
    distances = {organ: 60 * (1 - each) for organ, each in good.items()}
    write_run(tmp_path / "a", study.test, good, study.train, hd95_mm=distances)
    dice = {**good, "spleen": good["spleen"].copy()}
    smaller = {**distances, "spleen": distances["spleen"] - 1.0}
    dice["spleen"][:3], smaller["spleen"][:3] = 0.0, math.nan
    write_run(tmp_path / "b", study.test, dice, study.train, hd95_mm=smaller, channels=2)
    code, out, _ = compare("a", "b", "output=out")
    assert code == 0
    (row,) = [
        r for r in read(tmp_path / "out" / "differences.csv") if (r["organ"], r["metric"]) == ("spleen", "hd95_mm")
    ]
    assert (row["patients"], row["better"]) == ("17", "")
    assert float(row["p_holm"]) < 0.05
    reason = "B failed in 3.0 patients, which the difference over 17 patients leaves out"
    assert f"on spleen {row['note']}" in out
    assert f"{row['note']} {reason}" in out


def test_failures_of_the_worse_arm_are_not_given_as_the_reason(compare, tmp_path):
    """B finds no spleen in one patient. Its other distances are mostly smaller, but three are huge."""
    study = Study(patients=30)
    good = study.dice()
    distances = {organ: 60 * (1 - each) for organ, each in good.items()}
    write_run(tmp_path / "a", study.test, good, study.train, hd95_mm=distances)
    dice, other = {**good, "spleen": good["spleen"].copy()}, {**distances, "spleen": distances["spleen"] - 0.1}
    other["spleen"][-3:] += 60
    dice["spleen"][0], other["spleen"][0] = 0.0, math.nan
    write_run(tmp_path / "b", study.test, dice, study.train, hd95_mm=other, channels=2)
    _, out, _ = compare("a", "b", "output=out", "metrics=[hd95_mm]")
    (row,) = [one for one in read(tmp_path / "out" / "differences.csv") if one["organ"] == "spleen"]
    assert float(row["difference"]) > 0
    assert float(row["p_holm"]) < 0.05
    assert row["better"] == ""
    assert note(tmp_path / "out", row) == "test and interval disagree"
    assert "failed in" not in out


def test_a_copy_is_not_a_repeat(compare, tmp_path):
    study = Study()
    dice = study.dice()
    for name, seed in (("0", 0), ("1", 0), ("2", 1)):
        write_run(tmp_path / "sweep" / name, study.test, dice, study.train, seed=seed)
    code, out, _ = compare("sweep", "output=out")
    assert code == 0
    assert "note: left out: sweep/1 has the seed and scores of sweep/0, so it is a copy" in out
    assert "(2 seeds)" in out


def test_runs_of_one_seed_are_one_repeat_with_their_mean(compare, tmp_path):
    """They differ by rounding only, which does not show the variation between seeds."""
    study = Study(patients=8)
    first, second = study.dice(), study.dice()
    second["spleen"][0] = 0.0
    for number, dice in enumerate((first, second)):
        distances = {organ: np.where(each == 0, np.nan, 60 * (1 - each)) for organ, each in dice.items()}
        write_run(tmp_path / "a" / str(number), study.test, dice, study.train, hd95_mm=distances)
    study.run(tmp_path / "b", channels=2)
    _, out, _ = compare("a", "b", "output=out")
    assert "A: model.net.base_channels=16 (1 seed)" in out
    assert "note: 2 runs of A have the seed 0: they count as one repeat, with their mean scores" in out
    assert "One seed each" in out
    liver, *_ = read(tmp_path / "out" / "summary.csv")
    assert (liver["seeds"], liver["sd_seeds"]) == ("1", "nan")
    assert float(liver["mean"]) == pytest.approx((first["liver"].mean() + second["liver"].mean()) / 2)
    rows = [row for row in read(tmp_path / "out" / "patients.csv") if row["arm"] == "A" and row["organ"] == "spleen"]
    scores = {row["metric"]: float(row["score"]) for row in rows if row["case"] == "set/test_00"}
    assert scores["dice"] == pytest.approx(first["spleen"][0] / 2)
    assert math.isnan(scores["hd95_mm"])  # the run that found nothing is not left out


def test_untested_runs_of_a_sweep_are_left_out(compare, tmp_path):
    study = Study()
    study.sweep(tmp_path / "sweep", range(3))
    (tmp_path / "sweep" / "1" / "cases.csv").unlink()
    code, out, _ = compare("sweep", "output=out")
    assert code == 0
    why = "left out: sweep/1 was not tested to the end: set/test_00 is not in its cases.csv"
    assert f"note: {why}" in out
    assert compare(tmp_path / "sweep", "output=out1")[0] == 0  # folders of this machine are not written
    assert why in json.loads((tmp_path / "out1" / "comparison.json").read_text())["remarks"]
    code, _, err = compare("sweep/1", "sweep/2", "output=out2")
    assert code == 2
    assert err.startswith("error: sweep/1 was not tested to the end")


@pytest.mark.parametrize(
    ("file", "cut", "message"),
    [
        ("cases.csv", -20, "cannot read sweep/1/cases.csv (TypeError: "),
        ("split.json", -20, "cannot read sweep/1/split.json: Expecting "),
        ("split.json", 0, "cannot read sweep/1/split.json: Expecting value"),
    ],
)
def test_a_damaged_run_is_left_out_of_a_sweep_and_refused_by_itself(compare, tmp_path, file, cut, message):
    Study().sweep(tmp_path / "sweep", range(3))
    path = tmp_path / "sweep" / "1" / file
    path.write_text(path.read_text()[:cut])
    code, out, _ = compare("sweep", "output=out")
    assert code == 0
    assert f"note: left out: {message}" in out
    code, _, err = compare("sweep/1", "sweep/2", "output=out2")
    assert code == 2
    assert err.startswith(f"error: {message}")
    assert len(err.splitlines()) == 1


def test_a_damaged_fold_beside_a_merged_table_is_named(compare, tmp_path):
    merged_folds(Study(), tmp_path / "folds")
    (tmp_path / "folds" / "1" / "split.json").write_text('{"train": []}')
    code, _, err = compare("folds", "folds/0", "output=out")
    assert (code, err) == (2, "error: folds/1/split.json names no test cases; name a whole run folder\n")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["a"], "1 run(s) to compare; name two or more: segment compare RUN RUN"),
        (["a", "a"], "a is named twice, by a and by a; name it once"),
        (["a", "nowhere"], "no run in nowhere: there is no such file or folder, nor is it a W&B path entity/project/"),
        (["a", "empty"], "no tested run in empty; name run folders, the folder of a sweep, or a cases.csv"),
        (["a", "b", "metrics=[volume]"], "metrics must be a list, each item dice or hd95_mm or nsd, got [volume]"),
        (["a", "b", "metrics=[]"], "metrics=[] names none; name some of dice, hd95_mm, nsd"),
        (["a", "b", "alpha=5"], "alpha must be a number between 0 and 1, got 5"),
        (["a", "b", "resamples=10"], "resamples must be a whole number of at least 999, got 10"),
        (["a", "b", "seed=-1"], "seed must be a whole number from 0"),
        (["a", "b", "output=a"], "output=a is not an empty folder; choose another one"),
        ([], "0 run(s) to compare; name two or more: segment compare RUN RUN"),
        (["a", "c"], "c was scored with include_trained=true, so also on cases that it was trained on"),
        (["a", "none.csv"], "none.csv has no case; compare a run that was tested"),
        (["a", "half.csv"], "half.csv scores liver, spleen, but not for y; score its checkpoint again with segment"),
        (["a", "bad.csv"], "cannot read bad.csv (KeyError: "),
    ],
)
def test_an_error_of_the_user_is_one_sentence(compare, tmp_path, arguments, message):
    study = Study(patients=6)
    study.run(tmp_path / "a")
    study.run(tmp_path / "b", channels=2)
    study.run(tmp_path / "c", channels=2)
    with (tmp_path / "c" / "config.yaml").open("a") as file:
        file.write("include_trained: true\n")
    (tmp_path / "empty").mkdir()
    (tmp_path / "bad.csv").write_text("nothing\n1\n")
    header = "case,organ,dice,hd95_mm,nsd,volume_ml_reference,volume_ml_pred\n"
    (tmp_path / "none.csv").write_text(header)
    rows = [f"{case},{organ},0.9,1,0.8,10,10\n" for case, organ in (("x", "liver"), ("x", "spleen"), ("y", "liver"))]
    (tmp_path / "half.csv").write_text(header + "".join(rows))
    before = sorted(tmp_path.rglob("*"))
    code, _, err = compare(*arguments)
    assert code == 2
    assert err.startswith(f"error: {message}")
    assert len(err.splitlines()) == 1
    assert sorted(tmp_path.rglob("*")) == before


def test_the_page_needs_no_other_file_and_escapes_names(compare, tmp_path):
    study = Study()
    study.run(tmp_path / "<script>alert(1)<" / "a&b")
    study.run(tmp_path / "plain", channels=2)
    code, _, _ = compare("<script>alert(1)</a&b", "plain", "output=out")
    assert code == 0
    text = (tmp_path / "out" / "index.html").read_text(encoding="utf-8")
    assert "<script>alert" not in text
    data = data_of(tmp_path / "out" / "index.html")
    assert [run["name"] for arm in data["arms"] for run in arm["runs"]] == ["<script>alert(1)</a&b", "plain"]
    assert "model.net.base_channels=16" in data["arms"][0]["recipe"]
    assert any("One seed" in sentence for sentence in data["verdicts"][0]["sentences"])
    picture = re.search(rf'id="{data["figure"]}">(.*?)</script>', text)[1]
    assert base64.b64decode(picture) == (tmp_path / "out" / "figure.png").read_bytes()
    rows = read(tmp_path / "out" / "differences.csv")
    assert [row["difference"] for row in data["differences"]] == [float(row["difference"]) for row in rows]


def test_the_figure_shows_every_arm_in_its_colour(compare, tmp_path):
    study = Study()
    study.run(tmp_path / "a")
    study.run(tmp_path / "b", shift=-0.05, channels=2)
    compare("a", "b", "output=out", "metrics=[dice]")
    with Image.open(io.BytesIO((tmp_path / "out" / "figure.png").read_bytes())) as picture:
        colors = {color for _, color in picture.convert("RGB").getcolors(1 << 24)}
        assert picture.width > 500
    for blue_or_vermillion in ((0x00, 0x72, 0xB2), (0xD5, 0x5E, 0x00)):
        assert blue_or_vermillion in colors


def test_many_arms_and_organs_without_scores_are_shown(compare, tmp_path):
    study = Study(patients=8)
    for channels in range(1, 6):
        dice = study.dice() | {"aorta": np.full(8, np.nan)}
        write_run(tmp_path / str(channels), study.test, dice, study.train, channels=channels)
    code, out, err = compare("1", "2", "3", "4", "5", "output=out")
    assert (code, err) == (0, "")
    assert "… and 4 more pairs, in differences.csv" in out
    assert re.search(r"on aorta (\[\d+\])", out)
    assert out.count("0 patient(s) with a score in both") == 1


def test_more_than_a_thousand_tests_need_a_reference(compare, tmp_path):
    study = Study(patients=6)
    for channels in range(1, 17):
        study.run(tmp_path / "sweep" / str(channels), channels=channels)
    code, _, err = compare("sweep", "output=out")
    assert code == 2
    assert err.startswith(
        "error: 16 arms make 1080 tests, too many to detect differences; compare all arms with one of them: ref"
    )
    code, out, _ = compare("sweep", "reference=A", "output=out", "metrics=[dice]")
    assert code == 0
    assert "16 arms on 6 test cases" in out


def test_each_patients_scores_are_written(compare, tmp_path):
    study = Study(patients=6)
    study.sweep(tmp_path / "a", range(2))
    study.run(tmp_path / "b", channels=2)
    compare("a", "b", "output=out", "metrics=[dice]")
    rows = read(tmp_path / "out" / "patients.csv")
    assert len(rows) == 6 * len(ORGANS) * 2
    runs = [read(tmp_path / "a" / str(number) / "cases.csv")[0] for number in range(2)]
    (row,) = [r for r in rows if (r["case"], r["organ"], r["arm"]) == (runs[0]["case"], runs[0]["organ"], "A")]
    assert float(row["score"]) == pytest.approx(np.mean([float(run["dice"]) for run in runs]))


def test_cts_of_one_patient_count_as_one(compare, tmp_path):
    study = Study(patients=6)
    same = dict.fromkeys(study.test[:2], study.test[0])
    study.sweep(tmp_path / "a", range(2), same=same)
    study.sweep(tmp_path / "b", range(2), channels=2, same=same)
    _, out, _ = compare("a", "b", "output=out", "metrics=[dice]")
    assert "2 arms on 6 test cases of 5 patients" in " ".join(out.split())
    assert len(read(tmp_path / "out" / "patients.csv")) == 5 * len(ORGANS) * 2


def test_the_same_comparison_twice_gives_the_same_files(compare, tmp_path):
    study = Study(patients=7)
    study.sweep(tmp_path / "a", range(2))
    study.sweep(tmp_path / "b", range(2), channels=2)
    for name in ("out1", "out2"):
        compare("a", "b", f"output={name}")
    for name in ("summary.csv", "differences.csv", "patients.csv", "comparison.json", "index.html"):
        assert (tmp_path / "out1" / name).read_bytes() == (tmp_path / "out2" / name).read_bytes()


def test_an_error_of_wandb_is_a_warning(compare, tmp_path, monkeypatch):
    def fail(*_):
        msg = "no disk"
        raise OSError(msg)

    monkeypatch.setattr("segment.comparison.report.wandb_comparison.choose_mode", lambda _: "offline")
    monkeypatch.setattr("segment.comparison.report.wandb_comparison.start_session", fail)
    Study(patients=6).sweep(tmp_path / "a", range(2))
    code, _, err = compare("a", "output=out", "wandb=project")
    assert code == 0
    assert "cannot log the comparison to Weights & Biases: OSError: no disk" in err


def test_a_wandb_path_without_a_network_is_an_error_of_one_sentence(tmp_path):
    Study(patients=6).run(tmp_path / "a")
    no_account = {"HOME": str(tmp_path), "NETRC": str(tmp_path / "none"), "WANDB_BASE_URL": "http://127.0.0.1:9"}
    # In a subprocess, because W&B caches the account and starts a service.
    environment = {name: value for name, value in os.environ.items() if not name.startswith("WANDB_")} | no_account
    call = [sys.executable, "-m", "segment", "compare", "a", "team/project/abc123", "output=out"]
    done = subprocess.run(call, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    expected = "error: there is no folder team/project/abc123 here, and cannot get team/project/abc123 from"
    assert done.stderr.startswith(expected)
    assert len(done.stderr.splitlines()) == 1


def commands(start):
    """Command lines of the document that start with `start`."""
    blocks = re.findall(r"```sh\n(.*?)```", DOCUMENT.read_text(encoding="utf-8"), flags=re.DOTALL)
    return [line for block in blocks for line in block.splitlines() if line.startswith(start)]


def test_every_comparison_in_the_document_runs(compare, tmp_path):
    study = Study()
    sweeps = tmp_path / "outputs" / "quick" / "sweeps"
    study.sweep(sweeps / "2026-11-25_10-00-00", range(3))
    study.sweep(sweeps / "2026-11-25_12-00-00", range(3), shift=-0.05, channels=2)
    merged_folds(study, tmp_path / "outputs" / "folds" / "small")
    merged_folds(study, tmp_path / "outputs" / "folds" / "large")
    lines = [line for line in commands("segment compare") if "my-team" not in line]  # needs a server
    assert len(lines) == 5
    for number, line in enumerate(lines):
        code, out, err = compare(*shlex.split(line)[2:], f"output=out{number}")
        assert (code, err) == (0, ""), line
        assert f"page, figure and tables: out{number}" in out


@pytest.mark.slow
def test_the_sweep_in_the_document_is_compared(compare, tmp_path, smoke_cache):
    """Small but real runs of `segment train`, with their scores, split, configuration and hashes of the CTs."""
    (line,) = commands("segment train")
    shrunk = line.replace("quick", "smoke").replace("seed=0,1,2", "seed=0,1").replace("channels=8,16", "channels=4")
    small = ["trainer.max_epochs=1", "callbacks.cases.overlay=false", "logger=csv", "hydra.sweep.dir=sweep"]
    small += ["preflight=false", "page=false", "callbacks.validation.overlay=false"]
    words = shlex.split(shrunk)[2:]
    done = run_commands.run("train", *words, *small, env=run_commands.environment(SEGMENT_CACHE=smoke_cache))
    assert done.returncode == 0, done.stderr
    code, out, err = compare("sweep", "output=out")
    assert (code, err) == (0, "")
    assert "There is one arm: 2 runs of one configuration" in out
    assert "did not record" not in out
    rows = read(tmp_path / "out" / "summary.csv")
    assert {(row["patients"], row["seeds"]) for row in rows if row["metric"] == "nsd"} == {("2", "2")}
