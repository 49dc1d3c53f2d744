"""`segment curve` as users run it, with a stand-in for the training."""

import csv
import json
import os
import signal
import sys
from pathlib import Path

import curve_stand_in
import pytest
import warm_start
from page_data import data_of
from run_commands import environment, wait_until
from stand_in import calls

from segment.commands import curve
from segment.files import write_text
from segment.search import worker

DATA = ["experiment=smoke", "logger=csv", "data.sources.phantom.num_cases=14", "split.test=0.3"]
HERE = [*DATA, "hydra.run.dir=here"]
SMALL = [*HERE, "sizes=[2,4,6]", "repeats=2", "target=0.9"]


@pytest.fixture
def command(tmp_path, monkeypatch, invoke, smoke_cache):
    """Run `segment curve` with the stand-in; returns exit code, stdout and stderr."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(curve, "TRAIN", (sys.executable, curve_stand_in.__file__))
    monkeypatch.setattr(worker, "TICK_S", 0.02)
    monkeypatch.setenv("SEGMENT_CACHE", str(smoke_cache))

    def call(*arguments):
        return invoke(curve.main, *arguments)

    return call


def rows(path):
    with path.open() as file:
        return list(csv.DictReader(file))


def trainings(folder):
    return [(int(row["cts"]), int(row["repeat"]), row["state"]) for row in rows(folder / "trainings.csv")]


def test_a_curve_writes_answers_tables_picture_and_page(command, tmp_path):
    code, out, err = command(*SMALL)
    assert code == 0, err
    here = tmp_path / "here"
    names = {path.name for path in here.iterdir() if not path.name.startswith(".")}
    assert names == {
        *("config.yaml", "curve.log", "journal.log", "clock.json", "sweep.json", "subsets.json", "splits", "trials"),
        *("curve.json", "curve.csv", "curve.png", "trainings.csv", "index.html"),
    }
    assert trainings(here) == [(cts, repeat, "complete") for repeat in (0, 1) for cts in (2, 4, 6)]
    content = json.loads((here / "curve.json").read_text())
    assert content["steps"] == "equal steps: 2 epochs of 4 patches each, however few CTs there are"
    sentences = [one["sentence"] for one in content["organs"]]
    assert len(sentences) == 4
    assert all(sentence.startswith("Dice of the ") and "training CTs" in sentence for sentence in sentences)
    for sentence in sentences:
        assert sentence in err
        assert sentence in (here / "curve.log").read_text()
    assert "curve folder: here\npage: here/index.html\n" in out
    page = data_of(here / "index.html")
    assert [one["sentence"] for one in page["organs"]] == sentences
    measured = [row for row in rows(here / "curve.csv") if row["organ"] == "liver" and row["what"] == "measured"]
    assert [row["cts"] for row in measured] == ["2", "4", "6"]
    splits = [json.loads((here / "splits" / f"{cts}_0.json").read_text()) for cts in (2, 4, 6)]
    assert [len(split["train"]) for split in splits] == [2, 4, 6]
    assert len({tuple(split["test"]) for split in splits}) == 1
    given = json.loads((here / "trials" / "4" / "given.json").read_text())
    assert {"experiment=smoke", "preflight=false", "seed=1", "data.patches_per_epoch=4"} <= set(given)
    assert not [one for one in given if one.startswith(("sizes", "target", "split.test"))]


def test_another_size_and_another_repeat_train_only_what_is_missing(command, tmp_path):
    assert command(*SMALL)[0] == 0
    before = trainings(tmp_path / "here")
    code, _, err = command(*DATA, "sizes=[2,4,6,7]", "repeats=3", "target=0.9", "resume=here", "page=false")
    assert code == 0, err
    after = trainings(tmp_path / "here")
    assert after[:6] == before
    assert {(cts, repeat) for cts, repeat, _ in after[6:]} == {(7, 0), (7, 1), (2, 2), (4, 2), (6, 2), (7, 2)}
    assert all(len(calls(tmp_path / "here" / "trials" / str(n))) == 1 for n in range(len(after)))


def test_a_curve_is_resumed_by_its_folder_alone(command, tmp_path, monkeypatch, smoke_cache):
    monkeypatch.setenv("SEGMENT_CACHE", os.path.relpath(smoke_cache))  # absolute paths are not recorded
    assert command(*SMALL)[0] == 0
    monkeypatch.setenv("CURVE_STAND_IN", "crash")
    code, _, err = command("resume=here", "sizes=[2,4,6,7]")
    assert code == 0, err
    assert "missing trainings: 2; run them by segment curve resume=here 'sizes=[2,4,6,7]'" in err
    monkeypatch.delenv("CURVE_STAND_IN")
    assert command("resume=here", "sizes=[2,4,6,7]", "target=0.8")[0] == 0
    ended = [(7, repeat, state) for state in ("fail", "complete") for repeat in (0, 1)]
    assert trainings(tmp_path / "here")[6:] == ended
    given = json.loads((tmp_path / "here" / "trials" / "7" / "given.json").read_text())
    assert "experiment=smoke" in given


def test_a_failed_training_is_reported_and_done_again(command, tmp_path, monkeypatch):
    monkeypatch.setenv("CURVE_STAND_IN", "fail")
    code, _, err = command(*SMALL, "page=false")
    assert code == 0
    assert "trial 0 fail (2 CTs, repeat 0): the disk is full; free space" in err
    assert "missing trainings: 1; run them by segment curve resume=here" in err
    monkeypatch.delenv("CURVE_STAND_IN")
    assert command(*[one for one in SMALL if "hydra" not in one], "resume=here")[0] == 0
    assert trainings(tmp_path / "here")[0] == (2, 0, "fail")
    assert trainings(tmp_path / "here")[6] == (2, 0, "complete")


START = """
import sys
import curve_stand_in
from segment.commands import curve
curve.TRAIN = (sys.executable, curve_stand_in.__file__)
curve.main()
"""


@pytest.mark.slow
def test_a_curve_that_a_signal_stops_continues_where_it_was(command, tmp_path, smoke_cache):
    (tmp_path / "start_curve.py").write_text(START)
    support = Path(curve_stand_in.__file__).parent
    env = environment(PYTHONPATH=support, CURVE_STAND_IN="wait", SEGMENT_CACHE=smoke_cache)
    process = warm_start.start("start_curve", *SMALL, "page=false", env=env, cwd=tmp_path)
    trials = tmp_path / "here" / "trials"
    wait_until((trials / "1" / "waits.txt").exists, process)
    process.send_signal(signal.SIGTERM)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 143
    assert "stopped; continue by segment curve resume=here" in err
    assert trainings(tmp_path / "here") == [(2, 0, "complete"), (4, 0, "running")]
    code, _, err = command(*DATA, *SMALL[len(HERE) :], "page=false", "resume=here")
    assert code == 0, err
    assert trainings(tmp_path / "here") == [(cts, repeat, "complete") for repeat in (0, 1) for cts in (2, 4, 6)]
    assert [[resume for _, resume in calls(trials / str(number))] for number in (0, 1)] == [
        ["false"],
        ["false", "true"],
    ]


def test_an_experiment_may_set_the_shares_of_the_split(command, tmp_path):
    write_text(tmp_path / "plans/experiment/mine.yaml", "# @package _global_\nsplit: {val: 0.2, test: 0.3}\n")
    data = ["data=phantom_small", "data.sources.phantom.num_cases=14", "trainer.max_epochs=1"]
    mine = ["experiment=mine", "logger=csv", "hydra.run.dir=here", "sizes=[2,4,6]", "repeats=2", "page=false"]
    code, _, err = command("--config-dir=plans", *data, *mine)
    assert code == 0, err
    given = json.loads((tmp_path / "here" / "trials" / "0" / "given.json").read_text())
    assert {"~split.val", "~split.test"} <= set(given)


def test_a_curve_without_a_finished_training_is_an_error(command, monkeypatch):
    monkeypatch.setenv("CURVE_STAND_IN", "crash")
    code, _, err = command(*SMALL, "page=false")
    assert code == 2
    assert "error: none of 6 trainings has finished; trial 0: RuntimeError: no memory for 2 CTs" in err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["sizes=[2,4]"], "sizes=[2, 4]: a curve needs 3 different numbers of training CTs"),
        (["sizes=[2,4,20]"], "name numbers up to 8"),
        (["repeats=1"], "repeats must be"),
        (["target=1.2"], "target must be"),
        (["split.test=0.1"], "1 patients would test; a curve needs at least 3"),
        (["test=false"], "test=false leaves no scores for a curve"),
        (
            ["callbacks.cases=null"],
            "a curve reads the scores of the test patients from cases.csv; keep callbacks.cases",
        ),
        (["logger=wandb"], "a curve reads metrics.csv"),
        (["modle.x=1"], "there is no option modle.x"),
        (["resume=elsewhere"], "resume=elsewhere is not a curve's folder; name one, e.g. outputs/quick/curves/"),
        (["resume=true"], "resume=true does not name a curve; give hydra.run.dir=<folder>"),
    ],
)
def test_wrong_options_end_in_one_sentence_before_the_first_training(command, tmp_path, arguments, message):
    code, _, err = command(*DATA, *arguments)
    assert code == 2
    assert message in err
    assert not list(tmp_path.rglob("trials"))
