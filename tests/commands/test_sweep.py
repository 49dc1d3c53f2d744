"""`segment sweep` as users run it: with a stand-in for the training, and once with the real one."""

import csv
import json
import os
import re
import shlex
import signal
import sys
from pathlib import Path

import pytest
import run_commands
import stand_in
import warm_start
import yaml
from page_data import data_of
from run_commands import config, environment, wait_until

from segment.commands import sweep
from segment.configuration.values import config_dir
from segment.search import resources, worker

SMOKE = '"experiment=smoke","test=false","logger=csv"'
QUIET = ["sweep=smoke", f"overrides=[{SMOKE}]", "hydra.run.dir=here"]
GROUPS = ("sampler", "pruner")
METHODS = [f"{group}={path.stem}" for group in GROUPS for path in Path(config_dir(), group).glob("*.yaml")]
DOCS = Path(__file__).parents[2] / "docs" / "sweeps.md"


@pytest.fixture
def command(tmp_path, monkeypatch, invoke):
    """Run `segment sweep` with the stand-in; returns exit code, stdout and stderr."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sweep, "TRAIN", (sys.executable, stand_in.__file__))
    monkeypatch.setattr(worker, "TICK_S", 0.02)
    for name in list(os.environ):
        if name.startswith("WANDB"):
            monkeypatch.delenv(name)

    def call(*arguments):
        return invoke(sweep.main, *arguments)

    return call


def table(folder: Path) -> list[dict[str, str]]:
    with (folder / "trials.csv").open() as file:
        return list(csv.DictReader(file))


def files(folder: Path) -> list[Path]:
    return [path.relative_to(folder) for path in folder.rglob("*") if path.is_file()]


def test_a_sweep_writes_table_best_trial_pictures_and_a_sweep_for_wandb(command, tmp_path):
    code, out, err = command(*QUIET, "trials=6", "seeds=2", "seed=5")
    assert code == 0, err
    here = tmp_path / "here"
    names = {path.name for path in here.iterdir() if not path.name.startswith(".")}
    assert names == {
        *("config.yaml", "sweep.log", "journal.log", "trials", "trials.csv", "best.yaml", "clock.json", "sweep.json"),
        *("history.png", "importance.png", "importance.csv", "index.html", "wandb_sweep.yaml"),
    }
    rows = table(here)
    assert [row["state"] for row in rows] == ["complete"] * 6
    assert {path.name for path in (here / "trials" / "3").iterdir()} == {".lock", "seed5", "seed6"}
    best = max(rows, key=lambda row: float(row["value"]))
    recorded = yaml.safe_load((here / "best.yaml").read_text())
    assert (recorded["trial"], recorded["value"]) == (int(best["trial"]), float(best["value"]))
    assert "6 trials, 6 finished" in out
    assert "sweep folder: here\npage: here/index.html\n" in out
    assert len(data_of(here / "index.html")["importance"]) == 2
    assert f"trial {best['trial']} complete: val/dice/mean {float(best['value']):.4f}" in err
    assert config("train", *recorded["overrides"]).optimizer.lr == float(best["optimizer.lr"])
    agents = yaml.safe_load((here / "wandb_sweep.yaml").read_text())
    assert agents["parameters"].keys() == {"optimizer.lr", "data.foreground_share"}
    assert agents["command"][2:6] == ["train", "experiment=smoke", "test=false", "logger=csv"]


def test_a_sweep_is_resumed_by_its_folder_and_a_larger_budget(command, tmp_path):
    assert command(*QUIET, "trials=2", "seed=3")[0] == 0
    before = table(tmp_path / "here")
    code, _, err = command("resume=here", "trials=4")
    assert code == 0, err
    after = table(tmp_path / "here")
    assert after[:2] == before
    assert [row["state"] for row in after] == ["complete"] * 4
    assert [stand_in.calls(tmp_path / "here" / "trials" / str(n))[0][1] for n in range(4)] == ["false"] * 4
    assert {path.parts[0] for path in files(tmp_path)} == {"here"}
    assert command("resume=here")[0] == 0  # the budget of config.yaml is used up, so there is nothing to do
    assert table(tmp_path / "here") == after


def test_a_sweep_is_resumed_by_its_whole_command(command, tmp_path):
    # Absolute paths are not recorded.
    absolute = [QUIET[0], f'overrides=[{SMOKE},"cache_dir={tmp_path}/cache"]', "hydra.run.dir=here"]
    assert command(*absolute, "trials=1")[0] == 0
    kept = [path.read_text() for path in (tmp_path / "here").iterdir() if path.suffix in (".yaml", ".csv", ".log")]
    assert str(tmp_path) not in "".join(kept)
    code, _, err = command("resume=here", "trials=2")
    assert code == 2
    assert "here does not record absolute paths; repeat its whole command, with resume=here" in err
    code, _, err = command(*absolute[:2], "trials=2", "resume=here")
    assert code == 0, err
    assert len(table(tmp_path / "here")) == 2


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["overrides=[modle.lr=1]"], "cannot read the override"),
        (['overrides=["modle.lr=1"]'], "there is no option modle.lr; did you mean optimizer.lr=1?"),
        (["+space.modle.lr=[1,2]"], "there is no option modle.lr; did you mean optimizer.lr=1?"),
        (['overrides=["seed=3"]'], "the search sets seed for every trial; instead of seed=3 use seed= of the sweep"),
        (['overrides=["logger=wandb"]'], "a search reads metrics.csv"),
        (["+space.data.batch_size.low=1"], "space.data.batch_size needs numbers for low and high"),
        (["trials=null"], "trials and hours are both null"),
        (["direction=up"], "direction must be maximize or minimize or max or min or null, got up"),
        (["monitor=val/loss"], "monitor=val/loss does not show whether more is better; give direction="),
        (["monitor=test/dice/mean", "direction=max"], "monitor=test/dice/mean would select trials by the test set"),
        (["resume=outputs/quick"], "resume=outputs/quick is not a sweep's folder; name one"),
        (["resume=true"], "resume=true does not name a sweep; give hydra.run.dir=<folder>, or resume=<folder>"),
        (["sampler._partial_=false"], "sampler must be _partial_ and take a seed: 'TPESampler' object is not callable"),
        (["sampler=gp", "+sampler.kernel=x"], "there is no option sampler.kernel; sampler takes "),
        (["sampler=tpee"], "there is no sampler=tpee; did you mean tpe?"),
        (["seed=-1"], "seed must be a whole number"),
    ],
)
def test_wrong_options_end_in_one_sentence_before_the_first_trial(command, tmp_path, arguments, message):
    code, _, err = command("sweep=smoke", *arguments)
    assert code == 2
    assert message in err
    assert len(err.splitlines()) == 1
    assert not list(tmp_path.rglob("trials"))


def test_groups_in_a_search_space_of_the_user_are_checked(command, tmp_path):
    mine = tmp_path / "conf" / "sweep" / "mine.yaml"
    mine.parent.mkdir(parents=True)
    text = "# @package _global_\noverrides: [experiment=smoke, logger=csv]\nspace:\n  optimizer.lr: [0.1, 0.2]\n"
    mine.write_text(text + "  model/net: [vnet, wnet]\n")
    code, _, err = command("--config-dir", "conf", "sweep=mine", "hydra.run.dir=here")
    assert code == 2
    assert "there is no model/net=wnet; did you mean " in err
    mine.write_text(text + "  model/net: [vnet, unet]\n")
    assert command("--config-dir", "conf", "sweep=mine", "hydra.run.dir=here")[0] == 0
    assert sorted(row["model/net"] for row in table(tmp_path / "here")) == ["unet", "unet", "vnet", "vnet"]


@pytest.fixture
def own(tmp_path):
    """A folder of configuration with an experiment and a search space of the user."""
    for group in ("experiment", "sweep"):
        (tmp_path / "conf" / group).mkdir(parents=True)
    text = "# @package _global_\ndefaults: [smoke, override /logger: csv]\ntask: own\n"
    (tmp_path / "conf" / "experiment" / "own.yaml").write_text(text)
    text = "# @package _global_\noverrides: [experiment=own]\nspace:\n  optimizer.lr: [0.1, 0.2, 0.3]\n"
    (tmp_path / "conf" / "sweep" / "own.yaml").write_text(text)
    return tmp_path / "conf"


@pytest.mark.parametrize("argument", ["--config-dir=conf", "hydra.searchpath=[file://conf]"])
def test_an_experiment_of_the_user_is_found_at_a_resume_and_by_best_yaml(command, tmp_path, own, argument):
    code, _, err = command(argument, "sweep=own", "hydra.run.dir=here", "trials=1")
    assert code == 0, err
    code, _, err = command("resume=here", "trials=2")
    assert code == 0, err
    assert len(table(tmp_path / "here")) == 2
    recorded = yaml.safe_load((tmp_path / "here" / "best.yaml").read_text())["overrides"]
    assert config("train", *recorded).task == "own"
    assert recorded[0] in yaml.safe_load((tmp_path / "here" / "wandb_sweep.yaml").read_text())["command"]


def test_an_experiment_of_the_user_is_found_by_every_trial(command, tmp_path, own, monkeypatch):
    show = "import hydra; hydra.main(version_base='1.3', config_path={!r}, config_name='train')(print)()"
    monkeypatch.setattr(sweep, "TRAIN", (sys.executable, "-c", show.format(config_dir())))
    call = ["--config-dir", str(own), "sweep=own", "hydra.run.dir=here", "trials=1"]
    command(*call)  # the trial only prints its configuration
    assert "'task': 'own'" in (tmp_path / "here" / "trials" / "0" / "output.log").read_text()


def test_a_folder_of_configuration_elsewhere_must_be_given_again(command, tmp_path, own, monkeypatch):
    there = tmp_path / "there"
    there.mkdir()
    monkeypatch.chdir(there)
    call = ["--config-dir", str(own), "sweep=own", "trials=1"]
    assert command(*call, "hydra.run.dir=here")[0] == 0
    assert str(tmp_path) not in "".join((there / "here" / name).read_text() for name in ("config.yaml", "sweep.json"))
    code, _, err = command("resume=here", "trials=2")
    assert code == 2
    assert "here does not record absolute paths" in err
    assert command(*call, "resume=here")[0] == 0


@pytest.mark.parametrize("method", METHODS)
def test_every_sampler_and_pruner_searches(command, tmp_path, method):
    assert command(*QUIET, "trials=2", method)[0] == 0
    assert [row["state"] for row in table(tmp_path / "here")] == ["complete"] * 2


def test_a_resume_with_another_search_space_is_refused_with_the_difference(command, tmp_path):
    assert command(*QUIET, "trials=1")[0] == 0
    code, _, err = command(*QUIET[:2], "trials=5", "space.optimizer.lr.high=0.5", "resume=here")
    assert code == 2
    assert "the configuration is not that of here: space.optimizer.lr.high was 0.1, is now 0.5" in err
    assert "trials was" not in err
    assert len(table(tmp_path / "here")) == 1


def test_a_sweep_without_a_finished_trial_reports_the_error(command):
    crash = 'overrides=["experiment=smoke","logger=csv","task=crash"]'
    code, out, err = command(QUIET[0], crash, QUIET[2], "trials=2")
    assert code == 2
    assert "none of 2 trials has finished; trial 0: RuntimeError: cannot read x" in err
    assert "2 trials, 0 finished" in out


START = """
import sys
import stand_in
from segment.commands import sweep
sweep.TRAIN = (sys.executable, stand_in.__file__)
sweep.main()
"""


def start(folder: Path, *arguments: str) -> warm_start.Process:
    """Start `segment sweep` with the stand-in in a process of its own."""
    (folder / "start_sweep.py").write_text(START)
    env = environment(PYTHONPATH=Path(stand_in.__file__).parent)
    return warm_start.start("start_sweep", *arguments, env=env, cwd=folder)


@pytest.mark.slow
def test_a_signal_stops_the_command_with_exit_code_143(tmp_path):
    process = start(tmp_path, QUIET[0], 'overrides=["experiment=smoke","logger=csv","init_from=never"]', QUIET[2])
    wait_until((tmp_path / "here" / "trials" / "0" / "metrics.csv").exists, process)
    process.send_signal(signal.SIGTERM)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 143
    assert "stopped; continue by segment sweep resume=here" in err
    assert (tmp_path / "here" / "trials" / "0" / "stopped.txt").exists()
    assert [row["state"] for row in table(tmp_path / "here")] == ["running"]


@pytest.mark.slow
def test_the_same_command_starts_joins_and_resumes_a_sweep(tmp_path):
    call = [*QUIET, "trials=6", "resume=true"]
    both = [start(tmp_path, *call) for _ in range(2)]
    errors = [process.communicate(timeout=120)[1] for process in both]
    assert [process.returncode for process in both] == [0, 0], errors
    assert [row["state"] for row in table(tmp_path / "here")] == ["complete"] * 6
    assert [len(stand_in.calls(tmp_path / "here" / "trials" / str(number))) for number in range(6)] == [1] * 6
    third = start(tmp_path, *call)
    third.communicate(timeout=120)
    assert third.returncode == 0


def commands() -> list[list[str]]:
    """The commands in docs/sweeps.md."""
    blocks = re.findall(r"```sh\n(.*?)```", DOCS.read_text(), re.DOTALL)
    return [shlex.split(line, comments=True) for block in blocks for line in block.splitlines() if line.strip()]


SWEEPS = [words[2:] for words in commands() if words[:2] == ["segment", "sweep"]]


def test_the_page_shows_grids_searches_resumes_and_agents():
    assert [words[:2] for words in commands()] == [
        ["segment", "train"],
        *[["segment", "sweep"]] * 7,
        ["wandb", "sweep"],
        ["wandb", "agent"],
    ]


# Smaller budgets, because the stand-in trains in a moment instead of hours.
SHORTER = {"hours=8": "hours=0.0005", "trials=24": "trials=2", "trials=48": "trials=3", "trials=64": "trials=2"}


@pytest.mark.slow
@pytest.mark.parametrize("words", [words for words in SWEEPS if not words[0].startswith("resume=")])
def test_every_search_of_the_page_runs(command, tmp_path, monkeypatch, words):
    monkeypatch.setenv("WANDB_MODE", "disabled")
    monkeypatch.setattr(resources, "TICK_S", 0.05)
    budget = [] if any(word.startswith("trials=") for word in words) else ["trials=2"]
    code, _, err = command(*(SHORTER.get(word, word) for word in words), *budget)
    assert code == 0, err
    (folder,) = (tmp_path / "outputs" / "quick" / "sweeps").iterdir()
    trials = len(table(folder))
    assert trials >= 1 if "hours=8" in words else trials == 2


@pytest.mark.slow
def test_every_resume_of_the_page_runs(command, tmp_path, monkeypatch):
    monkeypatch.setenv("WANDB_MODE", "disabled")
    assert command("sweep=quick", "trials=2")[0] == 0
    (folder,) = (tmp_path / "outputs" / "quick" / "sweeps").iterdir()
    resumes = [words for words in SWEEPS if words[0].startswith("resume=")]
    assert len(resumes) == 2
    for resume, *budget in resumes:
        call = [resume.replace("<date_time>", folder.name), *(SHORTER[word] for word in budget)]
        assert command(*call)[0] == 0
    assert len(table(folder)) == 3


@pytest.fixture
def real(tmp_path, smoke_cache):
    """Start a real command in the folder of the test."""
    env = environment(SEGMENT_CACHE=smoke_cache, COLUMNS=140)
    return lambda *words: run_commands.start(*words, cwd=tmp_path, env=env)


@pytest.mark.slow
def test_the_grid_of_the_page_runs(tmp_path, real):
    (words,) = [words[1:] for words in commands() if words[:2] == ["segment", "train"]]
    process = real(*words, "preflight=false", "callbacks.validation.overlay=false")
    _, err = process.communicate(timeout=300)
    assert process.returncode == 0, err
    runs = sorted((tmp_path / "outputs" / "smoke" / "sweeps").glob("*/*/config.yaml"))
    assert [yaml.safe_load(run.read_text())["model"]["optimizer"]["lr"] for run in runs] == [0.001, 0.003]


@pytest.mark.slow
def test_a_search_with_real_trainings_is_killed_and_resumed(tmp_path, real):
    short = '"trainer.max_epochs=8","data.patches_per_epoch=2","callbacks.early_stopping=null"'
    short += ',"page=false","callbacks.validation.overlay=false"'
    process = real(
        *("sweep", "sweep=smoke", "trials=3", "hydra.run.dir=here", "pruner=none"),
        f'overrides=["experiment=smoke","test=false","preflight=false",{short}]',
    )
    trials = tmp_path / "here" / "trials"
    wait_until((trials / "1" / "checkpoints" / "last.ckpt").exists, process)
    process.kill()
    process.communicate()
    rows = [row["state"] for row in table(tmp_path / "here")]
    second = real("sweep", "resume=here")
    out, err = second.communicate(timeout=400)
    assert second.returncode == 0, err
    assert rows == ["complete"]  # the table was last written when the first trial finished
    assert "trial 1 continues" in err
    assert "3 trials, 3 finished" in out
    assert [row["state"] for row in table(tmp_path / "here")] == ["complete"] * 3
    assert {path.name for path in trials.iterdir()} == {"0", "1", "2"}
    for number in range(3):
        run = trials / str(number)
        cfg = yaml.safe_load((run / "config.yaml").read_text())
        assert cfg["logger"]["wandb"]["group"] == "smoke/here"
        assert f"{cfg['model']['optimizer']['lr']}" == table(tmp_path / "here")[number]["optimizer.lr"]
        with (run / "metrics.csv").open() as file:
            values = [row for row in csv.DictReader(file) if row["val/dice/mean"]]
        assert [int(row["epoch"]) for row in values] == list(range(8))
        best = max(float(row["val/dice/mean"]) for row in values)
        assert float(table(tmp_path / "here")[number]["value"]) == best
    resumed = [("resumed" in json.loads((trials / str(n) / "environment.json").read_text())) for n in range(3)]
    assert resumed == [False, True, False]
    shown = [path.name for path in (tmp_path / "here" / "wandb").rglob("media/*/*")]
    assert any(name.startswith("history") for name in shown)
    assert any(name.startswith("trials") for name in shown)
