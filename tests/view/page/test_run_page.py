import numpy as np
import pytest
from page_data import data_of
from PIL import Image
from run_folders import write_run

from segment.errors import UserError
from segment.view.page import run
from segment.view.page.run import configuration_rows, write_run_page
from segment.view.page.run_folder import provenance, read_curves, read_scores


@pytest.fixture
def folder(tmp_path):
    path = tmp_path / "run"
    dice = {"liver": np.array([0.9, 0.5, np.nan]), "spleen": np.array([0.8, 0.9, 0.7])}
    write_run(path, ["set/a", "set/b", "set/c"], dice, ["set/t"])
    (path / "metrics.csv").write_text("step,epoch,train/loss,val/dice/liver\n0,0,2.5,\n1,0,,0.4\n2,1,1.5,nan\n")
    return path


def test_cases_are_sorted_by_their_mean_dice(folder, tmp_path):
    write_run_page(tmp_path / "x.html", folder, {})
    data = data_of(tmp_path / "x.html")
    means = {"set/b": 0.7, "set/c": 0.7, "set/a": 0.85}
    assert [case["name"] for case in data["cases"]] == list(means)
    assert [case["mean"] for case in data["cases"]] == pytest.approx(list(means.values()))
    assert data["cases"][1]["scores"]["liver"]["dice"] is None
    assert data["summary"][0]["lowest_dice"] == 0.5


def test_the_resources_of_a_resumed_run_are_those_of_all_its_processes():
    later = {"hours": 0.5, "core_hours": 1.0, "peak_memory_gib": 2.5, "seed": 4}
    rows, _ = provenance({"hours": 5.0, "core_hours": 9.5, "peak_memory_gib": 3.25, "seed": 3, "resumed": [later]})
    facts = dict(rows)
    assert (facts["time"], facts["core-hours"], facts["highest memory"]) == ("5.5 h", "10.5", "3.25 GiB")
    assert (facts["seed"], facts["resumed"]) == ("4", "1 times")


def test_metrics_that_no_case_has_are_left_out(tmp_path):
    dice = {"liver": np.array([0.9, 0.5]), "spleen": np.array([np.nan, 0.9])}
    unmeasured = dict.fromkeys(dice, np.full(2, np.nan))
    write_run(tmp_path / "run", ["set/a", "set/b"], dice, ["set/t"], hd95_mm=unmeasured)
    write_run_page(tmp_path / "x.html", tmp_path / "run", {})
    assert [metric["key"] for metric in data_of(tmp_path / "x.html")["metrics"]] == ["dice", "nsd"]


def test_curves_have_the_steps_of_their_values(folder):
    assert read_curves(folder) == {"train/loss": [(0, 2.5), (2, 1.5)], "val/dice/liver": [(1, 0.4)]}


def test_long_curves_are_thinned_and_keep_their_ends(folder):
    rows = "".join(f"{step},{step / 2}\n" for step in range(10_001))
    (folder / "metrics.csv").write_text(f"step,train/loss\n{rows}")
    curve = read_curves(folder)["train/loss"]
    assert len(curve) == 1500
    assert (curve[0], curve[-1]) == ((0, 0), (10_000, 5_000))


def test_only_the_worst_cases_have_their_picture_in_the_page(folder, monkeypatch):
    monkeypatch.setattr(run, "_PICTURES", 1)
    for case in ("set-a", "set-b"):
        (folder / "cases" / case).mkdir(parents=True)
        Image.new("RGB", (3000, 20)).save(folder / "cases" / case / "overlay.png")
    write_run_page(folder / "index.html", folder, {})
    first, second, last = data_of(folder / "index.html")["cases"]
    assert (first["name"], first["picture"], first["files"]) == (
        "set/b",
        "blob-0",
        {"overlay": "cases/set-b/overlay.png"},
    )
    assert (second["picture"], second["no_picture"]) == (None, "The run has no picture of this case.")
    assert (last["picture"], last["no_picture"]) == (None, "The page holds the pictures of the 1 worst cases.")


def test_a_page_elsewhere_links_to_nothing(folder, tmp_path):
    (folder / "cases" / "set-a").mkdir(parents=True)
    Image.new("RGB", (30, 20)).save(folder / "cases" / "set-a" / "overlay.png")
    (tmp_path / "pages").mkdir()
    write_run_page(tmp_path / "pages" / "x.html", folder, {})
    assert all(case["files"] == {} for case in data_of(tmp_path / "pages" / "x.html")["cases"])


def test_configuration_shows_both_values_and_keys_of_one_side():
    rows = {
        row["key"]: row for row in configuration_rows({"a": {"b": 1}, "c": None}, {"a": {"b": 2}, "c": None, "d": True})
    }
    assert (rows["a.b"]["value"], rows["a.b"]["standard"], rows["a.b"]["differs"]) == ("1", "2", True)
    assert (rows["c"]["value"], rows["c"]["differs"]) == ("null", False)
    assert (rows["d"]["value"], rows["d"]["standard"], rows["d"]["differs"]) == ("-", "true", True)


def test_a_run_without_a_test_shows_the_dice_of_its_validation(folder):
    (folder / "cases.csv").unlink()
    (folder / "validation").mkdir()
    (folder / "validation" / "cases.csv").write_text("case,organ,dice\ns/v,liver,0.25\n")
    scores, part = read_scores(folder)
    assert part == "validation"
    assert scores["s/v"][0].dice == 0.25
    assert np.isnan(scores["s/v"][0].nsd)


def test_a_folder_with_a_configuration_only(tmp_path):
    (tmp_path / "config.yaml").write_text("task: t\norgans: [liver]\n")
    write_run_page(tmp_path / "index.html", tmp_path, {})
    data = data_of(tmp_path / "index.html")
    assert data["notes"] == ["This run has no scores of cases yet."]
    assert data["cases"] == []


def test_damaged_files_are_named(folder, tmp_path):
    (folder / "cases.csv").write_text("case,organ\na,liver\n")
    with pytest.raises(UserError, match=r"cases\.csv is not a table of scores"):
        write_run_page(tmp_path / "x.html", folder, {})
    (folder / "config.yaml").write_text("a: [")
    with pytest.raises(UserError, match=r"config\.yaml is not valid YAML"):
        write_run_page(tmp_path / "x.html", folder, {})
    (folder / "config.yaml").write_text("- a")
    with pytest.raises(UserError, match=r"config\.yaml has no keys; restore it"):
        write_run_page(tmp_path / "x.html", folder, {})
