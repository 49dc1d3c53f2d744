"""Links between the pages of runs, sweeps and comparisons."""

import numpy as np
import pytest
from page_data import data_of
from run_folders import Study, write_run
from sweep_folders import write_grid, write_search

from segment.commands import compare
from segment.view.page.comparison import write_comparison_page
from segment.view.page.run import write_run_page


def sweep_of(folder):
    write_run_page(folder / "index.html", folder, {})
    return data_of(folder / "index.html")["sweep"]


def test_the_page_of_a_job_or_a_trial_links_to_its_sweep(tmp_path):
    grid = write_grid(tmp_path / "grid", [([], [0.5])])
    assert sweep_of(grid / "0") == {"name": "grid", "path": "../index.html"}
    search = write_search(tmp_path / "search", [("complete", 0.5, 0.001, "vnet", "")])
    assert sweep_of(search / "trials" / "0") == {"name": "search", "path": "../../index.html"}
    seed = search / "trials" / "0" / "seed1"
    write_run(seed, ["set/a"], {"liver": np.array([0.9])}, ["set/t"])
    assert sweep_of(seed) == {"name": "search", "path": "../../../index.html"}


def test_there_is_no_link_to_a_page_that_is_not_wanted(tmp_path):
    grid = write_grid(tmp_path / "grid", [([], [0.5])])
    search = write_search(tmp_path / "search", [("complete", 0.5, 0.001, "vnet", "")])
    for config in (grid / "0" / "config.yaml", search / "config.yaml"):
        config.write_text(config.read_text().replace("page: true", "page: false"))
    for run, sweep in ((grid / "0", grid), (search / "trials" / "0", search)):
        assert sweep_of(run) is None
        (sweep / "index.html").write_text("written by segment view")
        assert sweep_of(run) is not None


def test_a_run_of_no_sweep_and_a_page_elsewhere_have_no_link(tmp_path):
    write_run(tmp_path / "date" / "run", ["set/a"], {"liver": np.array([0.9])}, ["set/t"])
    assert sweep_of(tmp_path / "date" / "run") is None
    grid = write_grid(tmp_path / "grid", [([], [0.5])])
    write_run_page(tmp_path / "x.html", grid / "0", {})
    assert data_of(tmp_path / "x.html")["sweep"] is None


@pytest.fixture
def runs(tmp_path, monkeypatch):
    """Folders of two runs of a sweep with pages, and of one without."""
    study = Study(patients=9)
    study.sweep(tmp_path / "a b", range(2))
    study.run(tmp_path / "c", 5, shift=-0.3, channels=2)
    for number in range(2):
        (tmp_path / "a b" / str(number) / "index.html").write_text("a page")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def pages(path):
    return [run["page"] for arm in data_of(path)["arms"] for run in arm["runs"]]


def test_a_comparison_links_to_the_pages_of_its_runs(runs, monkeypatch):
    monkeypatch.setattr("sys.argv", ["segment", "runs=[a b,c]", "output=out/x", "resamples=999"])
    compare.main()
    assert pages(runs / "out" / "x" / "index.html") == ["../../a%20b/0/index.html", "../../a%20b/1/index.html", None]
    write_comparison_page(runs / "other.html", runs / "out" / "x")
    assert pages(runs / "other.html") == ["a%20b/0/index.html", "a%20b/1/index.html", None]


def test_a_page_elsewhere_links_to_no_run_beside_it(runs, monkeypatch):
    """Such a link would contain the folders between the page and the run."""
    monkeypatch.setattr("sys.argv", ["segment", "runs=[a b,c]", "output=out/x", "resamples=999"])
    compare.main()
    (runs / "elsewhere").mkdir()
    write_comparison_page(runs / "elsewhere" / "x.html", runs / "out" / "x")
    assert pages(runs / "elsewhere" / "x.html") == [None, None, None]


def test_a_run_outside_of_the_working_folder_is_not_mistaken_for_one_inside(runs, tmp_path_factory, monkeypatch):
    """The name of such a run is shortened to two parts, and here a folder of this name is inside as well."""
    other = tmp_path_factory.mktemp("other")
    Study(patients=9).run(other / "a b" / "0", 7)
    (other / "a b" / "0" / "index.html").write_text("a page")
    monkeypatch.setattr("sys.argv", ["segment", f"runs=[{other / 'a b' / '0'},c]", "output=out/x", "resamples=999"])
    compare.main()
    assert pages(runs / "out" / "x" / "index.html") == [None, None]


def test_a_link_names_no_folder_outside_the_working_folder(runs, tmp_path_factory, monkeypatch):
    output = tmp_path_factory.mktemp("elsewhere") / "x"
    monkeypatch.setattr("sys.argv", ["segment", "runs=[a b,c]", f"output={output}", "resamples=999"])
    compare.main()
    assert pages(output / "index.html") == [None, None, None]
    assert "elsewhere" not in (output / "comparison.json").read_text()
