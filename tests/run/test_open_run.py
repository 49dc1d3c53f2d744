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
from segment.run.open_run import RUN_VARIABLE, in_folder, open_run
from segment.run.record import record


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in (RUN_VARIABLE, "LOCAL_RANK", "SEGMENT_CACHE", "SLURM_JOB_ID", "SLURM_RESTART_COUNT"):
        monkeypatch.delenv(name, raising=False)


def config(*overrides):
    with initialize_config_dir(config_dir(), version_base="1.3"):
        return compose("train", [*overrides])


@pytest.fixture
def command(monkeypatch):
    """Runs a task like `segment train` does, and returns its `Run` objects."""

    def call(*arguments, task=lambda run, cfg: None):
        runs = []

        def start(cfg):
            with open_run(cfg, "train.log") as run:
                runs.append(run)
                task(run, cfg)
                record(run, cfg, {"train": ["set/a"], "val": ["set/b"], "test": []}, {"cases": {"set/a": "01"}})

        monkeypatch.setattr(sys, "argv", ["segment", *arguments])
        hydra_command("train")(start)()
        return runs

    return call


def test_run_folder_has_the_records_and_the_log(command, tmp_path):
    def task(run, cfg):
        assert in_folder(cfg, run).run_dir == str(run.folder)
        assert run_from_json(os.environ[RUN_VARIABLE]) == run
        logging.getLogger("segment.x").info("hello")
        logging.getLogger("pytorch_lightning.x").warning("restoring from %s/some/last.ckpt", tmp_path)

    (run,) = command("seed=5", task=task)
    assert run.folder.parts[:2] == ("outputs", "quick")  # as a user would write it
    assert (run.checkpoint, run.resumed) == (None, False)
    names = {path.name for path in run.folder.iterdir()}
    assert names == {"config.yaml", "environment.json", "split.json", "train.log"}
    assert OmegaConf.load(run.folder / "config.yaml").seed == 5
    assert json.loads((run.folder / "split.json").read_text())["val"] == ["set/b"]
    assert json.loads((run.folder / "environment.json").read_text())["seed"] == 5
    log = (run.folder / "train.log").read_text()
    assert "INFO segment.x: hello" in log
    assert "WARNING pytorch_lightning.x: restoring from last.ckpt" in log
    assert RUN_VARIABLE not in os.environ
    files = [path.relative_to(run.folder) for path in run.folder.rglob("*")]
    assert sorted(str(path) for path in tmp_path.rglob("*") if path.is_file()) == sorted(
        str(run.folder.resolve() / path) for path in files
    )


@pytest.mark.parametrize("propagate", [True, False])
def test_lightnings_messages_are_logged_once(command, monkeypatch, propagate):
    lightning = logging.getLogger("pytorch_lightning")
    monkeypatch.setattr(lightning, "propagate", propagate)
    (run,) = command(task=lambda run, cfg: lightning.warning("restoring"))
    assert (run.folder / "train.log").read_text().count("restoring") == 1


def test_records_have_no_absolute_paths(command, tmp_path, monkeypatch):
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    place = tmp_path / "of jane" / "out"

    def task(run, cfg):
        logging.getLogger().warning("cannot read %s/data/x.nii.gz", tmp_path)

    options = [f"output_dir='{place}'", "data=folder", f"data.sources.folder.root='{place}/flare'"]
    options.append("data.sources.folder.label_codes={liver: 1, right_kidney: 2, left_kidney: 3, spleen: 4}")
    (run,) = command(*options, f"+trainer.logger.save_dir={tmp_path}/x", task=task)
    for path in run.folder.iterdir():
        text = path.read_text()
        for secret in (str(tmp_path), str(Path.home()) + "/", "of jane"):
            assert secret not in text
    config = OmegaConf.load(run.folder / "config.yaml")
    assert (config.data.sources.folder.root, config.trainer.logger.save_dir) == ("flare", "x")


def test_failed_run_logs_its_traceback_without_folders(command, tmp_path):
    def task(run, cfg):
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
    assert RUN_VARIABLE not in os.environ


def test_run_that_fails_before_its_records_leaves_nothing(command, tmp_path):
    def task(run, cfg):
        msg = "no such data set"
        raise UserError(msg)

    with pytest.raises(SystemExit):
        command(task=task)
    assert list(tmp_path.iterdir()) == []


def test_runs_of_the_same_second_get_different_folders(tmp_path):
    """For example, the tasks of an array job."""
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


def test_commands_of_the_same_second_get_numbered_folders(command, monkeypatch):
    class Stopped(datetime):
        @classmethod
        def now(cls, tz=None):
            return datetime(2026, 1, 1, tzinfo=tz)

    monkeypatch.setattr("hydra.core.utils.datetime", Stopped)
    names = [command()[0].folder.name for _ in range(3)]
    assert names == ["2026-01-01_00-00-00", "2026-01-01_00-00-00_1", "2026-01-01_00-00-00_2"]


def test_named_folder_with_a_run_is_refused_and_unchanged(command, tmp_path, capsys):
    command("hydra.run.dir=mine")
    before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    with pytest.raises(SystemExit) as end:
        command("hydra.run.dir=mine")
    assert end.value.code == 2
    assert (
        "error: mine holds a run already; choose another folder, or resume this one with resume=mine"
        in capsys.readouterr().err
    )
    assert {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()} == before


def test_named_folder_can_be_used_again_after_an_early_failure(command, tmp_path):
    def task(run, cfg):
        msg = "no such data"
        raise UserError(msg)

    with pytest.raises(SystemExit):
        command("hydra.run.dir=mine", task=task)
    (run,) = command("hydra.run.dir=mine")
    assert run.folder == Path("mine")
    assert list(tmp_path.iterdir()) == [tmp_path / "mine"]


def test_resumed_run_uses_the_same_folder(command, tmp_path):
    (first,) = command("seed=1")
    (first.folder / "checkpoints").mkdir()
    (first.folder / "checkpoints" / "last.ckpt").touch()
    recorded = json.loads((first.folder / "environment.json").read_text())
    (second,) = command("seed=1", "resume=true", "trainer.max_epochs=99", "allow_changed=[trainer.max_epochs]")
    assert second.folder.resolve() == first.folder.resolve()
    assert second.resumed
    assert second.checkpoint is not None
    assert second.checkpoint.resolve() == (first.folder / "checkpoints" / "last.ckpt").resolve()
    assert len(list((tmp_path / "outputs" / "quick").iterdir())) == 1  # the folder that Hydra created is removed
    assert OmegaConf.load(first.folder / "config.yaml").trainer.max_epochs == 99
    now = json.loads((first.folder / "environment.json").read_text())
    resumed = now.pop("resumed")
    assert now == recorded
    assert [process["overrides"][1] for process in resumed] == ["resume=true"]
    assert all(process["core_hours"] <= process["hours"] * os.cpu_count() for process in resumed)
    (third,) = command("seed=1", "resume=true", "trainer.max_epochs=99")
    assert third.folder.resolve() == first.folder.resolve()
    assert len(json.loads((first.folder / "environment.json").read_text())["resumed"]) == 2


def test_process_without_a_record_keeps_the_hours_of_the_one_before(monkeypatch, tmp_path):
    folder = tmp_path / "x"
    with open_run(config(f"run_dir={folder}"), "train.log") as run:
        record(run, config(f"run_dir={folder}"), {}, {})
    recorded = json.loads((folder / "environment.json").read_text())
    recorded["hours"] = 5
    (folder / "environment.json").write_text(json.dumps(recorded))
    with pytest.raises(UserError), open_run(config(f"run_dir={folder}", f"resume={folder}"), "train.log"):
        raise UserError
    assert json.loads((folder / "environment.json").read_text())["hours"] == 5


def test_jobs_of_a_sweep_get_different_folders(command):
    first, second = command("-m", "seed=1,2")
    assert (first.folder.name, second.folder.name) == ("0", "1")
    assert first.folder.parent == second.folder.parent
    assert first.folder.parts[:3] == ("outputs", "quick", "sweeps")
    for run, seed in ((first, 1), (second, 2)):
        assert OmegaConf.load(run.folder / "config.yaml").seed == seed


def test_resumed_sweep_starts_its_missing_jobs(command):
    first, _ = command("-m", "seed=1,2")
    (first.folder / "config.yaml").unlink()  # as if it was killed before it started
    again, other = command("-m", "seed=1,2", "resume=true")
    assert not again.resumed
    assert other.resumed
    assert other.folder.parent.resolve() == first.folder.parent.resolve()


def test_further_ranks_use_the_folder_of_rank_zero(tmp_path, monkeypatch):
    (tmp_path / "outputs" / "1").mkdir(parents=True)
    folder = Path("outputs") / "1"
    monkeypatch.setenv("LOCAL_RANK", "1")
    for expected in (Run(folder, None, resumed=False), Run(folder, folder / "last.ckpt", resumed=True)):
        monkeypatch.setenv(RUN_VARIABLE, expected.to_json())
        with open_run(config(), "train.log") as run:
            assert run == expected
            logging.getLogger("segment.x").info("logged by rank 0, too")
    assert list(folder.iterdir()) == []


def requeued(monkeypatch, job, times):
    monkeypatch.setenv("SLURM_JOB_ID", job)
    monkeypatch.setenv("SLURM_RESTART_COUNT", str(times))


def test_requeued_job_resumes_only_its_own_run(command, monkeypatch):
    requeued(monkeypatch, "7", 0)
    (mine,) = command("seed=1")
    (second,) = command("seed=2")  # of the same batch script
    requeued(monkeypatch, "8", 0)
    (other,) = command("seed=1")
    assert len({mine.folder, second.folder, other.folder}) == 3
    for times in (1, 2):
        requeued(monkeypatch, "7", times)
        assert [command(f"seed={seed}")[0].folder for seed in (1, 2)] == [mine.folder, second.folder]
    (new,) = command("seed=3")  # it had not started
    assert not new.resumed
    assert new.folder not in (mine.folder, second.folder, other.folder)


def test_requeued_job_with_an_absolute_path_is_resumed(command, monkeypatch, tmp_path):
    """Records hold no folders of the machine, so those of two commands of one job may look alike."""

    def overrides(site):
        root = tmp_path / site / "of mine"
        return [f"cache_dir={tmp_path}/cache", f"data.sources.phantom.root={root}", "seed=1"]

    requeued(monkeypatch, "7", 0)
    (run,) = command(*overrides("a"))
    requeued(monkeypatch, "7", 1)
    (other,) = command(*overrides("b"))  # it had not started
    assert not other.resumed
    assert other.folder != run.folder
    (again,) = command(*overrides("a"))
    assert (again.folder, again.resumed) == (run.folder, True)
    assert str(tmp_path) not in (run.folder / "environment.json").read_text()


def test_requeued_job_is_refused_if_its_configuration_changed(command, monkeypatch, capsys):
    requeued(monkeypatch, "7", 0)
    (run,) = command("seed=1")
    config = run.folder / "config.yaml"
    config.write_text(config.read_text().replace("gradient_clip_val: 12", "gradient_clip_val: 13"))
    requeued(monkeypatch, "7", 1)
    with pytest.raises(SystemExit) as end:
        command("seed=1")
    assert end.value.code == 2
    assert "trainer.gradient_clip_val was 13, is now 12" in capsys.readouterr().err


def test_requeued_sweep_resumes_in_its_folder(command, monkeypatch):
    requeued(monkeypatch, "7", 0)
    (run,) = command("-m", "seed=1", "hydra.sweep.dir=sweep")
    requeued(monkeypatch, "7", 1)
    (again,) = command("-m", "seed=1", "hydra.sweep.dir=sweep")
    assert (again.folder, again.resumed) == (run.folder, True)


def test_folder_can_be_named_in_python(tmp_path):
    cfg = config("run_dir=x/y")
    with open_run(cfg, "train.log") as run:
        record(run, cfg, {}, {})
    assert run.folder == Path("x/y")
    with pytest.raises(UserError, match="x/y holds a run already"), open_run(config("run_dir=x/y"), "train.log"):
        pass


def test_running_run_cannot_be_resumed(command, monkeypatch, capsys):
    monkeypatch.setattr(lock, "PATIENCE_S", 0.3)
    (run,) = command("seed=1")
    config = (run.folder / "config.yaml").read_bytes()
    with alone_in(run.folder), pytest.raises(SystemExit) as end:
        command("seed=1", "resume=true", "trainer.max_epochs=99", "allow_changed=[trainer.max_epochs]")
    assert end.value.code == 2
    assert f"error: {run.folder} is being written by another process; wait for it" in capsys.readouterr().err
    assert (run.folder / "config.yaml").read_bytes() == config
    (again,) = command("seed=1", "resume=true")
    assert again.resumed


def ends_soon(folder, *left):
    """Lock a run folder for a moment, like another process, and leave files in it."""
    folder.mkdir(parents=True, exist_ok=True)
    writing = alone_in(folder)
    writing.__enter__()

    def end():
        for path in left:
            path.parent.mkdir(exist_ok=True)
            path.touch()
        writing.__exit__(None, None, None)

    threading.Timer(2, end).start()


def test_only_one_of_two_runs_gets_a_named_folder(command, capsys):
    ends_soon(Path("mine"), Path("mine") / "config.yaml")
    with pytest.raises(SystemExit):
        command("hydra.run.dir=mine")
    assert "error: mine holds a run already; choose another folder" in capsys.readouterr().err


def test_run_resumes_from_the_checkpoint_of_the_process_before_it(tmp_path):
    cfg = config("run_dir=x")
    with open_run(cfg, "train.log") as run:
        record(run, cfg, {}, {})
    last = Path("x") / "checkpoints" / "last.ckpt"
    ends_soon(Path("x"), last)
    with open_run(config("run_dir=x", "resume=x"), "train.log") as run:
        assert run.checkpoint == last


def test_commands_can_share_a_folder_on_purpose(monkeypatch):
    monkeypatch.setattr(lock, "PATIENCE_S", 0.3)
    Path("x").mkdir()
    with alone_in(Path("x")), open_run(config("run_dir=x"), "sweep.log", shared=True) as run:
        assert run.folder == Path("x")
