import json

import pytest
from page_data import data_of
from sweep_folders import write_grid, write_search

from segment.errors import UserError
from segment.metrics.cases_csv import COLUMNS
from segment.view.page.sweep import write_sweep_page

TRIALS = [
    ("complete", 0.8, 0.001, "vnet", ""),
    ("pruned", 0.5, 0.01, "unet", "stopped by the pruner after epoch 3"),
    ("fail", "", 0.002, "vnet", "error: no memory"),
]


def page_of(folder, page=None):
    path = page or folder / "index.html"
    write_sweep_page(path, folder)
    return data_of(path)


def test_a_search_is_read_from_its_files(tmp_path):
    data = page_of(write_search(tmp_path / "s", TRIALS))
    assert data["subtitle"] == "3 trials: 1 finished, 1 stopped early, 1 failed; val/dice/mean, higher is better"
    assert data["parameters"] == [{"name": "optimizer.lr", "log": True}, {"name": "model/net", "log": False}]
    assert [trial["value"] for trial in data["trials"]] == [0.8, 0.5, None]
    assert data["trials"][1]["params"] == [0.01, "unet"]
    assert data["trials"][2]["why"] == "error: no memory"
    assert data["importance"] == [["optimizer.lr", 0.75], ["model/net", 0.25]]
    assert data["command"] == "segment train experiment=smoke optimizer.lr=0.001"


def test_trials_link_to_the_pages_of_their_runs(tmp_path):
    folder = write_search(tmp_path / "s", TRIALS, pages=[0])
    (folder / "trials" / "1" / "config.yaml").unlink()
    for seed in (9, 10):
        (folder / "trials" / "1" / f"seed{seed}").mkdir()
        (folder / "trials" / "1" / f"seed{seed}" / "index.html").write_text("a page")
    first, second, third = (trial["pages"] for trial in page_of(folder)["trials"])
    assert first == [{"name": "0", "path": "trials/0/index.html"}]
    assert [page["path"] for page in second] == ["trials/1/seed9/index.html", "trials/1/seed10/index.html"]
    assert third == []
    (tmp_path / "pages").mkdir()
    elsewhere = page_of(folder, tmp_path / "pages" / "x.html")  # its links would lead out of its folder
    assert all(trial["pages"] == [] for trial in elsewhere["trials"])


def test_a_search_before_its_first_trial_ends(tmp_path):
    folder = write_search(tmp_path / "s", TRIALS)
    for name in ("trials.csv", "best.yaml", "importance.csv"):
        (folder / name).unlink()
    data = page_of(folder)
    assert (data["trials"], data["command"], data["importance"]) == ([], "", [])


def test_a_damaged_table_is_named(tmp_path):
    folder = write_search(tmp_path / "s", TRIALS)
    (folder / "trials.csv").write_text("trial,state\nx,complete\n")
    with pytest.raises(UserError, match=r"trials\.csv is not a table of trials"):
        page_of(folder)


def test_a_grid_shows_the_best_scores_and_the_overrides_that_differ(tmp_path):
    jobs = [
        (["task=a", f"seed={seed}", "optimizer.lr=0.1"], scores) for seed, scores in enumerate(([0.2, 0.6, 0.4], []))
    ]
    (folder := write_grid(tmp_path / "g", jobs)).joinpath("0", "index.html").write_text("a page")
    data = page_of(folder)
    assert data["subtitle"] == "2 jobs: 1 finished, 1 no score; val/dice/mean, higher is better"
    assert [parameter["name"] for parameter in data["parameters"]] == ["seed"]
    assert [(trial["value"], trial["params"]) for trial in data["trials"]] == [(0.6, [0]), (None, [1])]
    assert data["trials"][0]["pages"][0]["path"] == "0/index.html"


def test_a_job_that_failed_or_was_stopped_is_not_finished(tmp_path):
    """It may have validated before."""
    (trial,) = page_of(write_grid(tmp_path / "g", [([], [0.4])], finished=False))["trials"]
    assert (trial["state"], trial["value"]) == ("not finished", 0.4)
    assert trial["why"] == "it failed, was stopped, or is still running"


@pytest.mark.parametrize(("record", "state"), [({"hours": 0.5}, "finished"), ({}, "not finished")])
def test_records_of_earlier_versions_state_the_hours_of_what_ended(tmp_path, record, state):
    folder = write_grid(tmp_path / "g", [([], [0.4])])
    (folder / "0" / "environment.json").write_text(json.dumps(record))
    assert page_of(folder)["trials"][0]["state"] == state


def test_the_hours_of_a_resumed_job_are_those_of_all_its_processes(tmp_path):
    folder = write_grid(tmp_path / "g", [([], [0.4])])
    record = {"overrides": [], "hours": 5, "resumed": [{"hours": 0.5, "finished": True}]}
    (folder / "0" / "environment.json").write_text(json.dumps(record))
    (trial,) = page_of(folder)["trials"]
    assert (trial["state"], trial["facts"]) == ("finished", {"hours": "5.5"})


def test_a_grid_without_validations_shows_the_mean_that_the_test_prints(tmp_path):
    """The mean over organs, not over rows: a patient without a spleen does not give the liver more weight."""
    folder = write_grid(tmp_path / "g", [([], [])])
    rows = ["a,liver,0.9", "b,liver,0.8", "a,spleen,0.5", "b,spleen,nan"]
    table = [",".join(COLUMNS), *(f"{row},nan,nan,nan,nan" for row in rows)]
    (folder / "0" / "cases.csv").write_text("\n".join(table) + "\n")
    assert page_of(folder)["trials"][0]["value"] == pytest.approx((0.85 + 0.5) / 2)
