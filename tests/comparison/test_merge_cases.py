import json
import math
from dataclasses import replace

import pytest

from segment.comparison.merge_cases import find_tables, merge_cases, write_merged
from segment.errors import UserError
from segment.metrics.cases_csv import append_case, create_cases, read_cases
from segment.metrics.scores import OrganScore


def score(organ, dice, hd95_mm=1.0):
    return OrganScore(organ, dice, hd95_mm, dice, 10.0, 12.0)


def table(folder, **cases):
    """A run folder with a cases.csv."""
    folder.mkdir(parents=True)
    (folder / "split.json").write_text(json.dumps({"train": ["z"], "val": [], "test": list(cases)}))
    create_cases(folder / "cases.csv")
    for case, scores in cases.items():
        append_case(folder / "cases.csv", case, scores)
    return folder


def test_folds_become_one_table(tmp_path):
    table(tmp_path / "0", b=[score("liver", 0.5), score("spleen", 0.7)])
    table(tmp_path / "1", a=[score("liver", 0.9), score("spleen", math.nan)])
    cases = merge_cases(find_tables([tmp_path]))
    write_merged(tmp_path / "cases.csv", cases)
    rows = read_cases(tmp_path / "cases.csv")
    assert [(case, s.organ) for case, s in rows] == [("a", "liver"), ("a", "spleen"), ("b", "liver"), ("b", "spleen")]
    assert [s.dice for _, s in rows][0::2] == [0.9, 0.5]
    assert math.isnan(rows[1][1].dice)


def test_a_case_of_several_runs_gets_the_mean_of_their_scores(tmp_path):
    runs = [
        table(tmp_path / "x" / "0", a=[score("liver", 0.5, 2.0)]),
        table(tmp_path / "y" / "1", a=[score("liver", 0.7, 4.0)]),
    ]
    (mean,) = merge_cases(find_tables(runs))["a"]
    assert mean.dice == pytest.approx(0.6)
    assert mean.hd95_mm == 3.0


def test_a_run_that_misses_an_organ_does_not_improve_the_distance(tmp_path):
    table(tmp_path / "0", a=[score("liver", 0.8, 2.0)])
    table(tmp_path / "1", a=[score("liver", 0.0, math.nan)])
    (mean,) = merge_cases(find_tables([tmp_path]))["a"]
    assert mean.dice == pytest.approx(0.4)
    assert math.isnan(mean.hd95_mm)
    assert mean.is_failure


def test_runs_with_different_ground_truths_are_not_merged(tmp_path):
    table(tmp_path / "0", a=[score("liver", 0.8)])
    table(tmp_path / "1", a=[replace(score("liver", 0.9), volume_ml_reference=11.0)])
    with pytest.raises(UserError, match=r"the ground truth of liver in a has 10\.0 mL in one run and 11\.0 mL in "):
        merge_cases(find_tables([tmp_path]))


def test_runs_of_different_organs_are_not_merged(tmp_path):
    table(tmp_path / "0", a=[score("liver", 0.5)])
    table(tmp_path / "1", b=[score("spleen", 0.5)])
    with pytest.raises(UserError, match=r"scores liver, but .*cases\.csv scores spleen; merge runs of the same organs"):
        merge_cases(find_tables([tmp_path]))


def test_runs_of_different_recipes_are_not_merged(tmp_path):
    for fold, lr in enumerate((0.1, 0.2)):
        run = table(tmp_path / str(fold), **{f"case{fold}": [score("liver", 0.5)]})
        (run / "config.yaml").write_text(f"data: {{fold: {fold}}}\nlr: {lr}\n")
    with pytest.raises(UserError, match=r"0 and .*1 have different recipes, so they are not folds of one: lr is 0\.1 "):
        find_tables([tmp_path])


def test_fewer_than_two_runs_are_refused(tmp_path):
    with pytest.raises(UserError, match=r"no run in .*empty; name run folders, or the folder of a sweep"):
        find_tables([tmp_path / "empty"])
    with pytest.raises(UserError, match="1 table to merge; name the folder of a sweep"):
        find_tables([table(tmp_path / "0", a=[score("liver", 0.5)])])


@pytest.mark.parametrize("how", ["no table", "half a table"])
def test_a_run_that_was_not_tested_to_the_end_is_refused(tmp_path, how):
    table(tmp_path / "0", a=[score("liver", 0.5)])
    half = table(tmp_path / "1", b=[score("liver", 0.5)], c=[score("liver", 0.5)]) / "cases.csv"
    if how == "no table":
        half.unlink()
    else:
        half.write_text("\n".join(half.read_text().splitlines()[:-1]) + "\n")
    with pytest.raises(
        UserError,
        match=r"1 was not tested to the end: [bc] is not in its cases\.csv; .*resume=.*, or run its segment evaluate",
    ):
        find_tables([tmp_path])
