import logging

import numpy as np
import pytest
from page_data import data_of
from run_folders import write_run
from sweep_folders import write_grid, write_inspection, write_search

from segment.commands.pages import page_at_end, page_of, run_page_at_end
from segment.view.page.data_set import write_data_set_page


@pytest.fixture
def run(tmp_path):
    write_run(tmp_path / "run", ["set/a"], {"liver": np.array([0.9])}, ["set/t"])
    (tmp_path / "run" / "metrics.csv").write_text("step,train/loss\n0,1\n1,0.5\n")
    return tmp_path / "run"


def test_every_kind_of_folder_is_recognised(run, tmp_path):
    search = write_search(tmp_path / "s", [("complete", 0.8, 0.1, "vnet", "")])
    grid = write_grid(tmp_path / "g", [([], [0.5])])
    inspection = write_inspection(tmp_path / "d", ["set/a"], [])
    (inspection / "config.yaml").write_text("task: doctor\n")
    kinds = {}
    for folder in (run, search, grid, inspection):
        page_of(folder)(tmp_path / "x.html", folder)
        kinds[folder.name] = data_of(tmp_path / "x.html")["kind"]
    assert kinds == {"run": "run", "s": "sweep", "g": "sweep", "d": "dataset"}
    assert page_of(tmp_path) is None


def test_a_run_gets_its_page_and_its_curves_and_one_line_names_it(run, capsys):
    run_page_at_end(True, run)
    assert capsys.readouterr().out == f"page: {run}/index.html\n"
    seed = next(row for row in data_of(run / "index.html")["configuration"] if row["key"] == "seed")
    assert seed["standard"] == "0"  # the default is known without a command that runs
    assert (run / "curves.png").exists()


def test_page_false_writes_nothing(run, capsys):
    run_page_at_end(False, run)
    assert capsys.readouterr().out == ""
    assert not {"index.html", "curves.png"} & {path.name for path in run.iterdir()}


def test_a_page_that_fails_costs_a_warning_only(tmp_path, caplog, capsys):
    with caplog.at_level(logging.WARNING):
        page_at_end(True, tmp_path, write_data_set_page)  # the folder holds no inspection
    assert "cannot make index.html: UserError: cannot read" in caplog.text
    assert capsys.readouterr().out == ""


def test_a_file_of_the_user_stays(run, caplog):
    (run / "index.html").write_text("my notes")
    with caplog.at_level(logging.WARNING):
        run_page_at_end(True, run)
    assert (run / "index.html").read_text() == "my notes"
    assert "was not made by segment and stays" in caplog.text
