import json
import sys

import pytest
from omegaconf import OmegaConf

from segment.commands.command import hydra_command
from segment.configuration.roles import role
from segment.configuration.values import portable
from segment.metrics.cases_csv import append_case, create_cases
from segment.metrics.scores import OrganScore
from segment.run.open_run import open_run
from segment.run.record import record
from segment.run.repeat import compare_scores, environment_differences, repeated_config, resume_differences


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("SEGMENT_CACHE", str(tmp_path / "cache"))


@pytest.fixture
def command(monkeypatch):
    """Calls a task like `segment train` does."""

    def call(task, *arguments):
        monkeypatch.setattr(sys, "argv", ["segment", *arguments])
        hydra_command("train")(task)()

    return call


@pytest.fixture
def first(command, tmp_path):
    """A run with some overrides."""

    def task(cfg):
        with open_run(cfg, "train.log") as run:
            record(run, cfg, {"train": ["a"]}, {"volumes": {"a": "01", "b": "02"}})

    command(task, "experiment=smoke", "model.net.base_channels=4", "seed=3", "hydra.run.dir=first")
    return tmp_path / "first"


def composed(command, *arguments):
    """The configuration that `from_run` gives for a call, and the run folder."""
    seen = []

    def task(cfg):
        cfg = repeated_config(cfg)
        with open_run(cfg, "train.log") as run:
            record(run, cfg, {}, {})
        seen.append((cfg, run.folder))

    command(task, *arguments)
    return seen[0]


def test_configuration_is_that_of_the_earlier_run(first, command):
    cfg, folder = composed(command, f"from_run={first}")
    recorded = OmegaConf.to_container(OmegaConf.load(first / "config.yaml"))
    of_call = {key: value for key, value in portable(cfg).items() if role(key).resume == "any"}
    assert portable(cfg) == {**recorded, **of_call}
    assert of_call["from_run"] == first.name
    assert folder.parts[:2] == ("outputs", "smoke")  # the task of the earlier run
    written = OmegaConf.to_container(OmegaConf.load(folder / "config.yaml"))
    assert {**written, **of_call} == {**recorded, **of_call}


def test_overrides_of_the_call_are_applied(first, command):
    cfg, _ = composed(command, f"from_run={first}", "seed=4", "scheduler=poly")
    assert (cfg.seed, cfg.model.net.base_channels) == (4, 4)
    assert cfg.scheduler._target_.endswith("schedules.Poly")


def test_values_that_changed_in_conf_are_restored(first, command, capsys):
    recorded = OmegaConf.load(first / "config.yaml")
    recorded.trainer.max_epochs = 77
    recorded.scheduler.epochs = recorded.model.scheduler.epochs = 77
    recorded.data.batch_size = 9
    recorded.callbacks.removed = {"_target_": "pytorch_lightning.callbacks.DeviceStatsMonitor"}
    del recorded.callbacks.confusion
    OmegaConf.save(recorded, first / "config.yaml")
    cfg, _ = composed(command, f"from_run={first}", "data.batch_size=1")
    assert (cfg.trainer.max_epochs, cfg.data.batch_size) == (77, 1)
    assert cfg.model.scheduler._target_.endswith("schedules.Cosine")
    assert cfg.model.scheduler.epochs == 77
    assert cfg.callbacks.removed == {"_target_": "pytorch_lightning.callbacks.DeviceStatsMonitor"}
    assert "_target_" not in (cfg.callbacks.get("confusion") or {})
    assert "trainer.max_epochs stays 77, although conf/ now has" in capsys.readouterr().err


def test_folders_are_those_of_this_machine(first, command, monkeypatch, capsys):
    """A run records only the last part of a folder."""
    monkeypatch.delenv("SEGMENT_CACHE")
    cfg, _ = composed(command, f"from_run={first}")
    assert (cfg.data.cache_dir, cfg.cache_dir) == ("outputs/cache/volumes", "outputs/cache")
    assert [source.root for source in cfg.data.sources.values()] == ["outputs/cache/phantom"]
    assert "conf/ has changed" not in capsys.readouterr().err


def test_override_wins_even_if_it_equals_the_present_conf(first, command):
    recorded = OmegaConf.load(first / "config.yaml")
    recorded.optimizer.lr = 0.5
    OmegaConf.save(recorded, first / "config.yaml")
    assert composed(command, f"from_run={first}")[0].optimizer.lr == 0.5
    assert composed(command, f"from_run={first}", "optimizer.lr=0.003")[0].optimizer.lr == 0.003


def test_other_folder_cannot_be_repeated(command, tmp_path, capsys):
    with pytest.raises(SystemExit) as stopped:
        composed(command, f"from_run={tmp_path}")
    assert stopped.value.code == 2
    assert "is not a run folder: it lacks config.yaml or environment.json; name another" in capsys.readouterr().err


def test_differences_since_the_run_was_stopped_are_listed(first):
    path = first / "environment.json"
    recorded = json.loads(path.read_text())
    assert resume_differences(first) == []
    now = {**recorded, "packages": {**recorded["packages"], "torch": "1.0"}}
    path.write_text(json.dumps({**recorded, "resumed": [now]}))
    assert resume_differences(first) == [f"torch was {recorded['packages']['torch']}, is now 1.0"]
    path.write_text(json.dumps({**recorded, "resumed": [now, now]}))
    assert resume_differences(first) == []


def test_empty_tables_cannot_be_compared(tmp_path):
    for name in ("a", "b"):
        create_cases(tmp_path / name)
    assert compare_scores(tmp_path / "a", tmp_path / "b") == "there are no test scores to compare"


def test_differences_in_versions_code_and_cases_are_listed(first, tmp_path):
    recorded = json.loads((first / "environment.json").read_text())
    recorded["packages"]["torch"] = "1.0"
    recorded["git"] = {"sha": "0123456789abcdef", "diff": "x", "untracked": []}
    recorded["volumes"] = {"a": "03", "c": "02"}
    (tmp_path / "environment.json").write_text(json.dumps(recorded))
    differences = environment_differences(tmp_path, first)
    assert any(sentence.startswith("git was 0123456789 with changes, is now ") for sentence in differences)
    assert any(sentence.startswith("torch was 1.0, is now ") for sentence in differences)
    assert differences[-3:] == [
        "cases missing now: c",
        "cases new: b",
        "cases with other content or other preprocessing: a",
    ]
    assert environment_differences(first, first) == []


def scores(path, *dice, hd95_mm=1.0):
    create_cases(path)
    for case, value in enumerate(dice):
        append_case(path, f"case{case}", [OrganScore("liver", value, hd95_mm, 1.0, 100.0, 100.0)])
    return path


def test_scores_are_compared(tmp_path):
    first = scores(tmp_path / "1.csv", 0.9, float("nan"))
    assert "the scores are equal: all numbers in 2 rows" in compare_scores(
        first, scores(tmp_path / "2.csv", 0.9, float("nan"))
    )
    assert "Dice differs in 1 of 2 rows, by at most 0.1000 (liver in case0)" in compare_scores(
        first, scores(tmp_path / "3.csv", 0.8, float("nan"))
    )
    assert "by at most 1.0000 (liver in case1)" in compare_scores(first, scores(tmp_path / "4.csv", 0.9, 0.5))
    assert "other columns differ" in compare_scores(first, scores(tmp_path / "5.csv", 0.9, float("nan"), hd95_mm=2.0))
    assert "cannot be compared" in compare_scores(first, scores(tmp_path / "6.csv", 0.9))
