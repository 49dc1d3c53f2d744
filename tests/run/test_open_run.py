import json
import logging
import os
import sys
import threading
from datetime import datetime
from pathlib import Path

import pytest
from hydra import compose, initialize_config_dir
from omegaconf import OmegaConf

from segment.commands.command import config_dir, hydra_command
from segment.errors import UserError
from segment.run import folder as module
from segment.run import lock
from segment.run.folder import Run, run_from_json
from segment.run.lock import alone_in
from segment.run.open_run import HERE, open_run
from segment.run.record import record


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in (HERE, "LOCAL_RANK", "SEGMENT_CACHE", "SLURM_JOB_ID", "SLURM_RESTART_COUNT"):
        monkeypatch.delenv(name, raising=False)


def config(*overrides):
    with initialize_config_dir(config_dir(), version_base="1.3"):
        return compose("train", [*overrides])


@pytest.fixture
def command(monkeypatch):
    """Runs a task as `segment train` would and returns the folders and checkpoints it was given."""

    def call(*arguments, task=lambda here, cfg: None):
        runs = []

        def in_folder(cfg):
            with open_run(cfg, "train.log") as here:
                runs.append(here)
                task(here, cfg)
                record(here, cfg, {"train": ["set/a"], "val": ["set/b"], "test": []}, {"cases": {"set/a": "01"}})

        monkeypatch.setattr(sys, "argv", ["segment", *arguments])
        hydra_command("train")(in_folder)()
        return runs

    return call


def test_a_run_has_a_folder_with_its_records_and_its_log(command, tmp_path):
    def task(here, cfg):
        assert cfg.run_dir == str(here.folder)
        assert run_from_json(os.environ[HERE]) == here
        logging.getLogger("segment.x").info("hello")
        logging.getLogger("pytorch_lightning.x").warning("restoring from %s/some/last.ckpt", tmp_path)

    (here,) = command("seed=5", task=task)
    assert here.folder.parts[:2] == ("outputs", "quick")  # as a user would write it
    assert (here.checkpoint, here.resumed) == (None, False)
    names = {path.name for path in here.folder.iterdir()}
    assert names == {"config.yaml", "environment.json", "split.json", "train.log"}
    assert OmegaConf.load(here.folder / "config.yaml").seed == 5
    assert json.loads((here.folder / "split.json").read_text())["val"] == ["set/b"]
    assert json.loads((here.folder / "environment.json").read_text())["seed"] == 5
    log = (here.folder / "train.log").read_text()
    assert "INFO segment.x: hello" in log
    assert "WARNING pytorch_lightning.x: restoring from last.ckpt" in log
    assert HERE not in os.environ
    files = [path.relative_to(here.folder) for path in here.folder.rglob("*")]
    assert sorted(str(path) for path in tmp_path.rglob("*") if path.is_file()) == sorted(
        str(here.folder.resolve() / path) for path in files
    )


@pytest.mark.parametrize("propagate", [True, False])
def test_messages_of_lightning_are_logged_once_whether_they_reach_the_root_or_not(command, monkeypatch, propagate):
    lightning = logging.getLogger("pytorch_lightning")
    monkeypatch.setattr(lightning, "propagate", propagate)
    (here,) = command(task=lambda here, cfg: lightning.warning("restoring"))
    assert (here.folder / "train.log").read_text().count("restoring") == 1


def test_no_record_names_a_place_on_this_machine(command, tmp_path, monkeypatch):
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    place = tmp_path / "of jane" / "out"

    def task(here, cfg):
        logging.getLogger().warning("cannot read %s/data/x.nii.gz", tmp_path)

    options = [f"output_dir='{place}'", "data=folder", f"data.sources.folder.root='{place}/flare'"]
    options.append("data.sources.folder.label_codes={liver: 1, right_kidney: 2, left_kidney: 3, spleen: 4}")
    (here,) = command(*options, f"+trainer.logger.save_dir={tmp_path}/x", task=task)
    for path in here.folder.iterdir():
        text = path.read_text()
        for secret in (str(tmp_path), str(Path.home()) + "/", "of jane"):
            assert secret not in text
    config = OmegaConf.load(here.folder / "config.yaml")
    assert (config.data.sources.folder.root, config.trainer.logger.save_dir) == ("flare", "x")


def test_a_failing_run_leaves_its_traceback_in_the_log_without_folders(command, tmp_path):
    def task(here, cfg):
        msg = f"no such file {tmp_path}/data/x.nii.gz"
        raise FileNotFoundError(msg)

    with pytest.raises(SystemExit):
        command(task=task)
    (log,) = tmp_path.rglob("train.log")
    text = log.read_text()
    assert "FileNotFoundError: no such file x.nii.gz" in text
    assert 'File "segment/run/open_run.py"' in text
    assert str(tmp_path) not in text
    assert not any(isinstance(handler, logging.FileHandler) for handler in logging.getLogger().handlers)
    assert not any(isinstance(h, logging.FileHandler) for h in logging.getLogger("pytorch_lightning").handlers)
    assert HERE not in os.environ


def test_a_run_that_cannot_begin_leaves_nothing(command, tmp_path):
    def task(here, cfg):
        msg = "no such data set"
        raise UserError(msg)

    with pytest.raises(SystemExit):
        command(task=task)
    assert list(tmp_path.iterdir()) == []


def test_runs_of_one_second_have_folders_of_their_own(tmp_path):
    """As tasks of one array job, which start together."""
    children = []
    for number in range(8):
        if (child := os.fork()) == 0:
            folder = module._claimed(tmp_path / "2026-01-01_00-00-00", "train.log")
            (folder / f"owner{number}").touch()
            os._exit(0)
        children.append(child)
    assert all(os.waitpid(child, 0)[1] == 0 for child in children)
    folders = sorted(tmp_path.iterdir())
    assert [folder.name for folder in folders] == [
        "2026-01-01_00-00-00",
        *(f"2026-01-01_00-00-00_{number}" for number in range(1, 8)),
    ]
    assert [len(list(folder.glob("owner*"))) for folder in folders] == [1] * 8


def test_two_commands_of_one_second_do_not_collide(command, monkeypatch):
    class Stopped(datetime):
        @classmethod
        def now(cls, tz=None):
            return datetime(2026, 1, 1, tzinfo=tz)

    monkeypatch.setattr("hydra.core.utils.datetime", Stopped)
    names = [command()[0].folder.name for _ in range(3)]
    assert names == ["2026-01-01_00-00-00", "2026-01-01_00-00-00_1", "2026-01-01_00-00-00_2"]


def test_a_named_folder_that_holds_a_run_is_refused_and_untouched(command, tmp_path, capsys):
    command("hydra.run.dir=mine")
    before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    with pytest.raises(SystemExit) as end:
        command("hydra.run.dir=mine")
    assert end.value.code == 2
    assert (
        "error: mine holds a run already; choose another folder, or resume it by resume=mine" in capsys.readouterr().err
    )
    assert {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()} == before


def test_a_named_folder_of_a_run_that_failed_at_once_is_free(command, tmp_path):
    def task(here, cfg):
        msg = "no such data"
        raise UserError(msg)

    with pytest.raises(SystemExit):
        command("hydra.run.dir=mine", task=task)
    (here,) = command("hydra.run.dir=mine")
    assert here.folder == Path("mine")
    assert list(tmp_path.iterdir()) == [tmp_path / "mine"]


def test_a_resumed_run_writes_where_it_wrote(command, tmp_path):
    (first,) = command("seed=1")
    (first.folder / "checkpoints").mkdir()
    (first.folder / "checkpoints" / "last.ckpt").touch()
    facts = json.loads((first.folder / "environment.json").read_text())
    (second,) = command("seed=1", "resume=true", "trainer.max_epochs=99", "allow_changed=[trainer.max_epochs]")
    assert second.folder.resolve() == first.folder.resolve()
    assert second.resumed
    assert second.checkpoint is not None
    assert second.checkpoint.resolve() == (first.folder / "checkpoints" / "last.ckpt").resolve()
    assert len(list((tmp_path / "outputs" / "quick").iterdir())) == 1  # the folder that Hydra made is gone
    assert OmegaConf.load(first.folder / "config.yaml").trainer.max_epochs == 99
    now = json.loads((first.folder / "environment.json").read_text())
    resumed = now.pop("resumed")
    assert now == facts
    assert [fact["overrides"][1] for fact in resumed] == ["resume=true"]
    assert all(fact["core_hours"] <= fact["hours"] * os.cpu_count() for fact in resumed)
    (third,) = command("seed=1", "resume=true", "trainer.max_epochs=99")
    assert third.folder.resolve() == first.folder.resolve()
    assert len(json.loads((first.folder / "environment.json").read_text())["resumed"]) == 2


def test_a_process_that_comes_to_nothing_leaves_the_hours_of_the_one_before(monkeypatch, tmp_path):
    folder = tmp_path / "x"
    with open_run(config(f"run_dir={folder}"), "train.log") as here:
        record(here, config(f"run_dir={folder}"), {}, {})
    facts = json.loads((folder / "environment.json").read_text())
    facts["hours"] = 5
    (folder / "environment.json").write_text(json.dumps(facts))
    with pytest.raises(UserError), open_run(config(f"run_dir={folder}", f"resume={folder}"), "train.log"):
        raise UserError
    assert json.loads((folder / "environment.json").read_text())["hours"] == 5


def test_jobs_of_a_sweep_have_folders_of_their_own(command):
    first, second = command("-m", "seed=1,2")
    assert (first.folder.name, second.folder.name) == ("0", "1")
    assert first.folder.parent == second.folder.parent
    assert first.folder.parts[:3] == ("outputs", "quick", "sweeps")
    for here, seed in ((first, 1), (second, 2)):
        assert OmegaConf.load(here.folder / "config.yaml").seed == seed


def test_a_sweep_resumes_its_jobs_and_begins_the_rest(command):
    first, _ = command("-m", "seed=1,2")
    (first.folder / "config.yaml").unlink()  # as if it had been killed before it began
    again, other = command("-m", "seed=1,2", "resume=true")
    assert not again.resumed
    assert other.resumed
    assert other.folder.parent.resolve() == first.folder.parent.resolve()


def test_a_further_process_of_a_run_joins_the_first(tmp_path, monkeypatch):
    (tmp_path / "outputs" / "1").mkdir(parents=True)
    folder = Path("outputs") / "1"
    monkeypatch.setenv("LOCAL_RANK", "1")
    for run in (Run(folder, None, resumed=False), Run(folder, folder / "last.ckpt", resumed=True)):
        monkeypatch.setenv(HERE, run.to_json())
        with open_run(config(), "train.log") as here:
            assert here == run
            logging.getLogger("segment.x").info("said by the first process, too")
    assert list(folder.iterdir()) == []


def requeued(monkeypatch, job, times):
    monkeypatch.setenv("SLURM_JOB_ID", job)
    monkeypatch.setenv("SLURM_RESTART_COUNT", str(times))


def test_a_requeued_job_goes_on_with_its_own_run_and_no_other(command, monkeypatch):
    requeued(monkeypatch, "7", 0)
    (mine,) = command("seed=1")
    (second,) = command("seed=2")  # of the same batch script
    requeued(monkeypatch, "8", 0)
    (other,) = command("seed=1")
    assert len({mine.folder, second.folder, other.folder}) == 3
    for times in (1, 2):
        requeued(monkeypatch, "7", times)
        assert [command(f"seed={seed}")[0].folder for seed in (1, 2)] == [mine.folder, second.folder]
    (new,) = command("seed=3")  # it had not begun
    assert not new.resumed
    assert new.folder not in (mine.folder, second.folder, other.folder)


def test_a_requeued_job_is_refused_when_its_configuration_has_changed(command, monkeypatch, capsys):
    requeued(monkeypatch, "7", 0)
    (here,) = command("seed=1")
    config = here.folder / "config.yaml"
    config.write_text(config.read_text().replace("gradient_clip_val: 12", "gradient_clip_val: 13"))
    requeued(monkeypatch, "7", 1)
    with pytest.raises(SystemExit) as end:
        command("seed=1")
    assert end.value.code == 2
    assert "trainer.gradient_clip_val was 13, is 12" in capsys.readouterr().err


def test_a_requeued_sweep_goes_on_in_its_folder(command, monkeypatch):
    requeued(monkeypatch, "7", 0)
    (here,) = command("-m", "seed=1", "hydra.sweep.dir=sweep")
    requeued(monkeypatch, "7", 1)
    (again,) = command("-m", "seed=1", "hydra.sweep.dir=sweep")
    assert (again.folder, again.resumed) == (here.folder, True)


def test_python_may_name_the_folder(tmp_path):
    cfg = config("run_dir=x/y")
    with open_run(cfg, "train.log") as here:
        record(here, cfg, {}, {})
    assert here.folder == Path("x/y")
    with pytest.raises(UserError, match="x/y holds a run already"), open_run(config("run_dir=x/y"), "train.log"):
        pass


def test_a_run_that_still_goes_is_not_joined(command, monkeypatch, capsys):
    monkeypatch.setattr(lock, "PATIENCE_S", 0.3)
    (here,) = command("seed=1")
    config = (here.folder / "config.yaml").read_bytes()
    with alone_in(here.folder), pytest.raises(SystemExit) as end:
        command("seed=1", "resume=true", "trainer.max_epochs=99", "allow_changed=[trainer.max_epochs]")
    assert end.value.code == 2
    assert f"error: {here.folder} is being written by another process; wait for it" in capsys.readouterr().err
    assert (here.folder / "config.yaml").read_bytes() == config
    (again,) = command("seed=1", "resume=true")
    assert again.resumed


def ends_soon(folder, *left):
    """Another process that writes a run folder for a moment and leaves files there."""
    folder.mkdir(parents=True, exist_ok=True)
    writing = alone_in(folder)
    writing.__enter__()

    def end():
        for path in left:
            path.parent.mkdir(exist_ok=True)
            path.touch()
        writing.__exit__(None, None, None)

    threading.Timer(2, end).start()


def test_of_two_that_begin_together_in_a_named_folder_one_gets_it(command, capsys):
    ends_soon(Path("mine"), Path("mine") / "config.yaml")
    with pytest.raises(SystemExit):
        command("hydra.run.dir=mine")
    assert "error: mine holds a run already; choose another folder" in capsys.readouterr().err


def test_a_run_goes_on_from_what_the_process_before_it_has_left(tmp_path):
    cfg = config("run_dir=x")
    with open_run(cfg, "train.log") as here:
        record(here, cfg, {}, {})
    last = Path("x") / "checkpoints" / "last.ckpt"
    ends_soon(Path("x"), last)
    with open_run(config("run_dir=x", "resume=x"), "train.log") as here:
        assert here.checkpoint == last


def test_several_commands_may_share_a_folder_where_that_is_meant(monkeypatch):
    monkeypatch.setattr(lock, "PATIENCE_S", 0.3)
    Path("x").mkdir()
    with alone_in(Path("x")), open_run(config("run_dir=x"), "sweep.log", shared=True) as here:
        assert here.folder == Path("x")
