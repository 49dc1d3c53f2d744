import json
import sys

import pytest
from omegaconf import OmegaConf

from segment.commands.command import hydra_command
from segment.configuration.values import OF_CALL, portable
from segment.metrics.cases_csv import append_case, begin_cases
from segment.metrics.scores import OrganScore
from segment.run.open_run import open_run
from segment.run.record import record
from segment.run.repeat import repeated, tell_environment, tell_resumed, tell_scores


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("SEGMENT_CACHE", str(tmp_path / "cache"))


@pytest.fixture
def command(monkeypatch):
    """Calls a task as `segment train` would."""

    def call(task, *arguments):
        monkeypatch.setattr(sys, "argv", ["segment", *arguments])
        hydra_command("train")(task)()

    return call


@pytest.fixture
def first(command, tmp_path):
    """A run that was begun by some overrides."""

    def task(cfg):
        with open_run(cfg, "train.log") as here:
            record(here, cfg, {"train": ["a"]}, {"volumes": {"a": "01", "b": "02"}})

    command(task, "experiment=smoke", "model.net.base_channels=4", "seed=3", "hydra.run.dir=first")
    return tmp_path / "first"


def composed(command, *arguments):
    """What `from_run` makes of a call, and the folder it writes to."""
    seen = []

    def task(cfg):
        cfg = repeated(cfg)
        with open_run(cfg, "train.log") as here:
            record(here, cfg, {}, {})
        seen.append((cfg, here.folder))

    command(task, *arguments)
    return seen[0]


def test_the_configuration_is_that_of_the_run(first, command):
    cfg, folder = composed(command, f"from_run={first}")
    held = OmegaConf.to_container(OmegaConf.load(first / "config.yaml"))
    of_call = {key: portable(cfg)[key] for key in OF_CALL}
    assert portable(cfg) == {**held, **of_call}
    assert of_call["from_run"] == first.name
    assert folder.parts[:2] == ("outputs", "smoke")  # by the task of that run
    written = OmegaConf.to_container(OmegaConf.load(folder / "config.yaml"))
    assert {**written, **of_call} == {**held, **of_call}


def test_overrides_of_the_call_come_on_top(first, command):
    cfg, _ = composed(command, f"from_run={first}", "seed=4", "scheduler=poly")
    assert (cfg.seed, cfg.model.net.base_channels) == (4, 4)
    assert cfg.scheduler._target_.endswith("schedule.Poly")


def test_what_conf_says_otherwise_by_now_is_as_the_run_had_it(first, command, capsys):
    held = OmegaConf.load(first / "config.yaml")
    held.trainer.max_epochs = 77
    held.scheduler.epochs = held.model.scheduler.epochs = 77
    held.data.batch_size = 9
    held.callbacks.gone = {"_target_": "a.b"}
    del held.callbacks.confusion
    OmegaConf.save(held, first / "config.yaml")
    cfg, _ = composed(command, f"from_run={first}", "data.batch_size=1")
    assert (cfg.trainer.max_epochs, cfg.data.batch_size) == (77, 1)
    assert cfg.model.scheduler._target_.endswith("schedule.Cosine")
    assert cfg.model.scheduler.epochs == 77
    assert cfg.callbacks.gone == {"_target_": "a.b"}
    assert "_target_" not in (cfg.callbacks.get("confusion") or {})
    assert "conf/ has changed: trainer.max_epochs is 77" in capsys.readouterr().err


def test_an_override_of_the_call_counts_where_conf_says_the_same_by_now(first, command):
    held = OmegaConf.load(first / "config.yaml")
    held.optimizer.lr = 0.5
    OmegaConf.save(held, first / "config.yaml")
    assert composed(command, f"from_run={first}")[0].optimizer.lr == 0.5
    assert composed(command, f"from_run={first}", "optimizer.lr=0.003")[0].optimizer.lr == 0.003


def test_only_a_run_can_be_repeated(command, tmp_path, capsys):
    with pytest.raises(SystemExit) as stopped:
        composed(command, f"from_run={tmp_path}")
    assert stopped.value.code == 2
    assert "is not a run folder: it lacks config.yaml or environment.json; name another" in capsys.readouterr().err


def test_what_has_changed_since_the_run_was_stopped_is_told(first):
    path = first / "environment.json"
    facts = json.loads(path.read_text())
    assert tell_resumed(first) == []
    now = {**facts, "packages": {**facts["packages"], "torch": "1.0"}}
    path.write_text(json.dumps({**facts, "resumed": [now]}))
    assert tell_resumed(first) == [f"torch was {facts['packages']['torch']}, is 1.0"]
    path.write_text(json.dumps({**facts, "resumed": [now, now]}))
    assert tell_resumed(first) == []


def test_tables_without_a_case_do_not_agree_nor_differ(tmp_path):
    for name in ("a", "b"):
        begin_cases(tmp_path / name)
    assert tell_scores(tmp_path / "a", tmp_path / "b") == "there are no test scores to compare"


def test_other_versions_code_and_cases_are_told(first, tmp_path):
    facts = json.loads((first / "environment.json").read_text())
    facts["packages"]["torch"] = "1.0"
    facts["git"] = {"sha": "0123456789abcdef", "diff": "x", "untracked": []}
    facts["volumes"] = {"a": "03", "c": "02"}
    (tmp_path / "environment.json").write_text(json.dumps(facts))
    told = tell_environment(tmp_path, first)
    assert any(sentence.startswith("git was 0123456789 with changes, is ") for sentence in told)
    assert any(sentence.startswith("torch was 1.0, is ") for sentence in told)
    assert told[-3:] == [
        "cases missing now: c",
        "cases new: b",
        "cases of other content or preprocessed otherwise: a",
    ]
    assert tell_environment(first, first) == []


def scores(path, *dice, hd95_mm=1.0):
    begin_cases(path)
    for case, value in enumerate(dice):
        append_case(path, f"case{case}", [OrganScore("liver", value, hd95_mm, 1.0, 100.0, 100.0)])
    return path


def test_whether_scores_agree(tmp_path):
    first = scores(tmp_path / "1.csv", 0.9, float("nan"))
    assert "the scores agree: all numbers of 2 rows" in tell_scores(
        first, scores(tmp_path / "2.csv", 0.9, float("nan"))
    )
    assert "Dice of 1 of 2 differ, most, by 0.1000, of liver in case0" in tell_scores(
        first, scores(tmp_path / "3.csv", 0.8, float("nan"))
    )
    assert "by 1.0000, of liver in case1" in tell_scores(first, scores(tmp_path / "4.csv", 0.9, 0.5))
    assert "other columns do not" in tell_scores(first, scores(tmp_path / "5.csv", 0.9, float("nan"), hd95_mm=2.0))
    assert "cannot be compared" in tell_scores(first, scores(tmp_path / "6.csv", 0.9))
