import csv
import json
import logging
import math
import os
import socket
import subprocess
from types import SimpleNamespace

import pytest
import wandb
from PIL import Image
from pytorch_lightning.utilities import rank_zero_only
from wandb_file import offline_runs

from segment.errors import UserError
from segment.loggers import wandb_session
from segment.loggers.metrics_csv import MetricsCSV
from segment.loggers.wandb_report import best_scores
from segment.loggers.wandb_run import WandbRun
from segment.loggers.wandb_session import choose_mode
from segment.runtime.signals import GRACE_S

URL = "/the-remote/of-somebody"
NETRC = "machine api.wandb.ai login user password 0123456789\n"
CASES = """case,organ,dice,hd95_mm,nsd,volume_ml_reference,volume_ml_pred
12,liver,0.9,1.5,0.8,1000.0,990.0
12,spleen,nan,nan,nan,nan,3.0
13,liver,0.25,30.0,0.1,900.0,100.0
13,spleen,0.5,4.0,0.4,200.0,150.0
"""


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch):
    """A home folder without a key for Weights & Biases."""
    for name in list(os.environ):
        if name.startswith("WANDB") or name == "NETRC":
            monkeypatch.delenv(name)
    home = tmp_path / "home"
    home.mkdir()
    monkeypatch.setenv("HOME", str(home))
    return home


@pytest.fixture
def git_checkout(tmp_path):
    folder = tmp_path / "checkout"
    folder.mkdir()
    author = ["-c", "user.name=a", "-c", "user.email=b"]
    for command in (["init", "-q"], [*author, "commit", "-qm", "c", "--allow-empty"], ["remote", "add", "origin", URL]):
        subprocess.run(["git", *command], cwd=folder, check=True)
    return folder


def curves(run):
    """The scalars and the step of each row."""
    return [
        {name: value for name, value in row.items() if not isinstance(value, dict) and name not in OWN}
        for row in run.history
    ]


OWN = ("_runtime", "_timestamp")


def write_run_folder(folder):
    """Write the files that a run leaves, apart from the scalars."""
    (folder / "validation").mkdir(parents=True)
    (folder / "cases.csv").write_text(CASES)
    (folder / "confusion.csv").write_text("reference,predicted,share,voxels\nbackground,liver,nan,0\n")
    (folder / "validation" / "confusion.csv").write_text("reference,predicted,share,voxels\nliver,liver,1.0,7\n")
    (folder / "validation" / "cases.csv").write_text("case,organ,dice\na,liver,0.5\nb,liver,0.25\n")
    (folder / "split.json").write_text('{"test": ["12", "13"]}')
    for name in ("validation/worst.png", "validation/median.png", "confusion.png"):
        Image.new("RGB", (4, 3)).save(folder / name)
    for case in ("12", "13"):
        place = folder / "cases" / case
        place.mkdir(parents=True)
        for size, name in ((4, "overlay.png"), (5, "turntable.gif")):
            Image.new("RGB", (size, int(case))).save(place / name)
        (place / "organs.mp4").write_bytes(f"video of {case}".encode())


def test_without_a_key_it_logs_offline_and_records_nothing_about_the_machine(
    tmp_path, home, git_checkout, capfd, monkeypatch
):
    monkeypatch.setattr(socket, "gethostname", lambda: "the-host")
    monkeypatch.chdir(git_checkout)
    for name in ("2026-01-01_00-00-00", "2026-01-01_00-00-01"):  # two jobs of a sweep
        write_run_folder(tmp_path / "runs" / name)
        about = {"group": "quick", "job_type": "train", "tags": ["paper"], "notes": "a note"}
        logger = WandbRun(tmp_path / "runs" / name, project="segment", **about)
        logger.log_hyperparams({"organs": ["liver"], "seed": 7, "trainer.max_epochs": 3})
        logger.log_metrics({"val/dice/liver": 0.25}, step=3)
        logger.finalize("success")
        logger.finish()
        assert wandb.run is None
    assert capfd.readouterr() == ("", "")
    assert list(home.iterdir()) == []
    assert not [path for path in (tmp_path / "runs").rglob("*") if path.is_symlink()]
    for path in (tmp_path / "runs").rglob("*"):
        for secret in (str(tmp_path), "the-remote", "the-host"):
            assert path.is_dir() or secret.encode() not in path.read_bytes(), path
    for run, name in zip(offline_runs(tmp_path), ("2026-01-01_00-00-00", "2026-01-01_00-00-01"), strict=True):
        assert run.path.parts[-4] == name
        assert (run.run.project, run.run.run_group, run.run.display_name, run.run.host) == (
            "segment",
            "quick",
            name[:16],  # without seconds
            "",
        )
        assert (run.run.job_type, list(run.run.tags), run.run.notes) == ("train", ["paper"], "a note")
        expected = {"organs": ["liver"], "seed": 7, "trainer.max_epochs": 3}
        assert {key: run.config[key] for key in expected} == expected
        assert curves(run) == [{"val/dice/liver": 0.25, "_step": 3}]
        assert run.exit_code == 0


def test_tables_pictures_and_files_come_from_the_run_folder(tmp_path):
    write_run_folder(tmp_path)
    logger = WandbRun(tmp_path, project="segment")
    logger.log_metrics({"test/dice/liver": 0.575}, step=3)
    logger.finish()
    (run,) = offline_runs(tmp_path)
    rows = run.table("cases")
    assert [(row["case"], row["organ"], row["dice"]) for row in rows] == [
        ("13", "liver", 0.25),
        ("13", "spleen", 0.5),
        ("12", "liver", 0.9),
        ("12", "spleen", None),
    ]
    assert rows[0]["volume_ml_pred"] == 100.0
    assert [row["case"] for row in run.table("validation/cases")] == ["b", "a"]
    (pair,) = run.table("confusion")  # of the test, not of the validation
    assert pair == {"reference": "background", "predicted": "liver", "share": None, "voxels": 0}
    files = run.path.parent / "files"
    pictures = {
        "validation/worst": "validation/worst",
        "validation/median": "validation/median",
        "confusion/shares": "confusion",
    }
    for key, name in pictures.items():
        picture = files / run.history[-1][key]["path"]
        assert picture.read_bytes() == (tmp_path / f"{name}.png").read_bytes()
    worst = {"cases/worst": "overlay.png", "cases/worst_video": "organs.mp4", "cases/worst_turntable": "turntable.gif"}
    for key, name in worst.items():
        media = files / run.history[-1][key]["path"]
        assert media.read_bytes() == (tmp_path / "cases" / "13" / name).read_bytes()
    for name in ("cases.csv", "split.json", "confusion.csv", "validation/cases.csv"):
        assert name in run.files
        assert (files / name).read_bytes() == (tmp_path / name).read_bytes()


def test_without_a_test_the_confusion_is_that_of_the_validation(tmp_path):
    write_run_folder(tmp_path)
    (tmp_path / "confusion.csv").unlink()
    logger = WandbRun(tmp_path, project="segment")
    logger.log_metrics({"a": 1.0}, step=0)
    logger.finish()
    assert offline_runs(tmp_path)[0].table("confusion")[0]["voxels"] == 7


def test_every_row_is_sent_once_and_complete(tmp_path):
    logger = WandbRun(tmp_path, project="segment")
    logger.log_metrics({"lr": 0.1}, step=0)
    logger.log_metrics({"val/loss": math.nan}, step=3)
    logger.log_metrics({"val/dice": 0.5, "epoch": 0}, step=3)
    logger.log_metrics({"lr": 0.05}, step=4)
    logger.finish()
    (run,) = offline_runs(tmp_path)
    first, second, third = curves(run)
    assert first == {"lr": 0.1, "_step": 0}
    assert math.isnan(second.pop("val/loss"))
    assert second == {"val/dice": 0.5, "epoch": 0, "_step": 3}
    assert third == {"lr": 0.05, "_step": 4}


def leave_unfinished(logger):
    """Leave the run as after a kill, without the last row."""
    logger.run.finish()
    logger.run = None


def test_a_resumed_run_is_one_run_with_every_step_once(tmp_path):
    first = WandbRun(tmp_path, project="segment")
    first.log_hyperparams({"seed": 0})
    first.truncate(0)
    for step in range(5):
        first.log_metrics({"loss": 1 / (step + 1)}, step=step)
    (before,) = tmp_path.glob("wandb/offline-run-*")
    leave_unfinished(first)
    # The name holds the second of the start. Rename it, so that the next folder has another name.
    before = before.rename(before.with_name(before.name.replace("run-20", "run-19")))
    second = WandbRun(tmp_path, project="segment")
    second.log_hyperparams({"seed": 0})
    assert before.exists()
    second.truncate(3)  # the checkpoint was saved after three steps
    (now,) = tmp_path.glob("wandb/offline-run-*")
    assert now.name != before.name
    assert now.name.split("-")[-1] == before.name.split("-")[-1]
    for step in range(3, 6):
        second.log_metrics({"loss": 1 / (step + 1)}, step=step)
    second.finish()
    (run,) = offline_runs(tmp_path)
    assert curves(run) == [{"loss": 1 / (step + 1), "_step": step} for step in range(6)]


def test_only_the_first_process_logs(tmp_path, monkeypatch):
    monkeypatch.setattr(rank_zero_only, "rank", 1)
    logger = WandbRun(tmp_path, project="segment")
    logger.log_hyperparams({"seed": 0})
    logger.truncate(0)
    logger.log_metrics({"a": 1}, step=0)
    logger.finish()
    assert not (tmp_path / "wandb").exists()


def test_a_failed_run_has_exit_code_1(tmp_path):
    logger = WandbRun(tmp_path, project="segment")
    logger.log_metrics({"a": 1}, step=0)
    logger.finalize("success")
    logger.finalize("failed")
    logger.finish()
    assert offline_runs(tmp_path)[0].exit_code == 1


def test_tables_and_pictures_can_be_logged_without_scalars(tmp_path):
    Image.new("RGB", (4, 3)).save(tmp_path / "x.png")
    logger = WandbRun(tmp_path, project="segment")
    logger.log_table("trials", columns=["number", "value"], data=[[0, 0.5]])
    logger.log_image("history", [tmp_path / "x.png"])
    logger.finish()
    (run,) = offline_runs(tmp_path)
    assert run.table("trials") == [{"number": 0, "value": 0.5}]
    assert "history" in run.history[0]


def levels(caplog):
    """Levels of the warnings and errors of this package. Other tests may have set the level of its logger to INFO."""
    own = [record.levelno for record in caplog.records if record.name.startswith("segment")]
    return [level for level in own if level >= logging.WARNING]


def log_through(logger):
    logger.log_hyperparams({"seed": 0})
    logger.truncate(0)
    logger.log_metrics({"a": 1}, step=0)
    logger.log_metrics({"a": 1}, step=1)
    logger.finalize("success")
    logger.finish()


def test_a_folder_that_cannot_be_written_is_only_a_warning(tmp_path, caplog):
    (tmp_path / "wandb").write_text("a file in place of the folder")
    log_through(WandbRun(tmp_path, project="segment"))
    assert levels(caplog) == [logging.WARNING]
    assert "Weights & Biases is disabled for the rest of this run: " in caplog.text


class Silent:
    """A server that accepts connections and never answers."""

    def __enter__(self):
        self.socket = socket.create_server(("127.0.0.1", 0))
        return f"http://127.0.0.1:{self.socket.getsockname()[1]}"

    def __exit__(self, *_):
        self.socket.close()


def test_the_log_states_how_long_it_waits_for_the_server(tmp_path, caplog, monkeypatch):
    monkeypatch.setenv("WANDB_API_KEY", "0" * 40)
    monkeypatch.setattr(wandb_session, "REACH_SECONDS", 1)
    caplog.set_level(logging.INFO)
    wandb.teardown()
    with Silent() as url:
        monkeypatch.setenv("WANDB_BASE_URL", url)
        log_through(WandbRun(tmp_path, project="segment"))
    wandb.teardown()
    messages = [record.getMessage() for record in caplog.records if record.name.startswith("segment")]
    assert messages[0] == f"connecting to Weights & Biases, for at most {1 + wandb_session.INIT_SECONDS} s"
    assert messages[1].startswith("Weights & Biases cannot be reached, so the run is logged offline")
    assert "timed out" in messages[1]
    (run,) = offline_runs(tmp_path)
    assert len(run.history) == 2


def test_a_failure_during_the_run_is_only_a_warning(tmp_path, caplog):
    logger = WandbRun(tmp_path, project="segment")
    logger.log_metrics({"a": 1}, step=0)
    logger.log_metrics({"a": object()}, step=1)  # a type that W&B does not accept
    logger.run.log = None
    log_through(logger)
    assert levels(caplog) == [logging.WARNING]
    assert wandb.run is None


@pytest.mark.parametrize("how", ["fails", "is disabled"])
def test_a_resumed_run_sends_rows_that_an_earlier_process_could_not_send(tmp_path, monkeypatch, how):
    first, table = WandbRun(tmp_path, project="segment"), MetricsCSV(tmp_path)
    if how == "fails":
        first.log_metrics({"val/dice/mean": 0.0}, step=0)
        first.run.log = None
    else:
        first.mode = "disabled"
    for step in range(4):
        for logger in (table, first):
            logger.log_metrics({"val/dice/mean": step / 4}, step=step)
            logger.log_metrics({"epoch": step}, step=step)
    if first.run is not None:
        leave_unfinished(first)
    second = WandbRun(tmp_path, project="segment")
    second.truncate(3)
    second.log_metrics({"val/dice/mean": 0.5, "epoch": 3}, step=3)
    second.finish()
    (run,) = offline_runs(tmp_path)
    expected = [(0, 0.0), (1, 0.25), (2, 0.5), (3, 0.5)]
    assert [(row["_step"], row["val/dice/mean"]) for row in run.history] == expected
    assert [row["epoch"] for row in run.history] == [0, 1, 2, 3]


def test_the_last_upload_fits_into_the_time_before_a_kill():
    """Other loggers and workers must end before the kill, too."""
    assert wandb_session.FINISH_SECONDS <= GRACE_S - 10


def test_a_run_is_offline_if_the_server_does_not_answer(tmp_path, caplog, monkeypatch):
    monkeypatch.setenv("WANDB_API_KEY", "0" * 40)
    monkeypatch.setenv("WANDB_BASE_URL", "http://127.0.0.1:9")  # no server listens on this port
    monkeypatch.setattr(wandb_session, "INIT_SECONDS", 2)
    log_through(WandbRun(tmp_path, project="segment"))
    assert "cannot be reached, so the run is logged offline" in caplog.text
    assert levels(caplog) == [logging.WARNING]
    (run,) = [run for run in offline_runs(tmp_path) if "offline-run" in str(run.path)]
    assert len(run.history) == 2


@pytest.mark.parametrize(
    ("environment", "netrc", "mode"),
    [
        ({}, None, "offline"),
        ({"WANDB_API_KEY": "0123456789"}, None, "online"),
        ({}, NETRC, "online"),
        ({}, NETRC.replace("api.wandb.ai", "api.forge.coreweave.com"), "online"),
        ({}, "machine example.org login user password 0123456789\n", "offline"),
        ({}, "not a netrc", "offline"),
        ({"WANDB_BASE_URL": "https://wandb.example.org:8080"}, NETRC, "offline"),
        ({"WANDB_API_KEY": "0123456789", "WANDB_MODE": "offline"}, None, "offline"),
        ({"WANDB_API_KEY": "0123456789", "WANDB_MODE": "dryrun"}, None, "offline"),
        ({"WANDB_MODE": "disabled"}, None, "disabled"),
        ({"WANDB_MODE": "run"}, None, "online"),
        ({"WANDB_MODE": ""}, None, "offline"),
        ({"WANDB_MODE": ""}, NETRC, "online"),
    ],
)
def test_the_mode_is_offline_unless_there_is_a_key(home, monkeypatch, environment, netrc, mode):
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    if netrc:
        (home / ".netrc").write_text(netrc)
        (home / ".netrc").chmod(0o600)
    assert choose_mode(None) == mode
    assert choose_mode(offline=True) == "offline"
    assert choose_mode(offline=False) == "online"


def test_an_unknown_mode_is_refused(monkeypatch):
    monkeypatch.setenv("WANDB_MODE", "onlin")
    with pytest.raises(UserError, match="WANDB_MODE must be online, offline or disabled, got 'onlin'; set it to one"):
        choose_mode(None)
    assert choose_mode(offline=True) == "offline"


@pytest.fixture
def fresh_wandb():
    """wandb reads the environment once per process, so restart it."""
    wandb.teardown()
    yield
    wandb.teardown()


@pytest.mark.parametrize("is_agent", [True, False])
def test_the_run_of_an_agent_has_the_id_from_the_server(tmp_path, monkeypatch, fresh_wandb, is_agent):
    monkeypatch.setenv("WANDB_RUN_ID", "0given00")
    if is_agent:
        monkeypatch.setenv("WANDB_SWEEP_ID", "sweep")
    logger = WandbRun(tmp_path, project="segment")
    logger.log_metrics({"a": 1}, step=0)
    logger.finish()
    assert (offline_runs(tmp_path)[0].run.run_id == "0given00") == is_agent


def test_nothing_is_written_if_it_is_disabled(tmp_path, monkeypatch):
    monkeypatch.setenv("WANDB_MODE", "disabled")
    log_through(WandbRun(tmp_path, project="segment"))
    assert not (tmp_path / "wandb").exists()


def test_best_scores_are_those_of_the_best_validation():
    table = "step,epoch,val/dice/mean,val/loss,lr\n1,0,0.25,3.0,\n2,,,,0.1\n3,1,0.5,2.0,\n5,2,0.5,1.0,\n7,3,nan,4.0,\n"
    rows = list(csv.DictReader(table.splitlines()))
    assert best_scores(rows, "val/dice/mean") == {
        "best/step": 3,
        "best/epoch": 1,
        "best/val/dice/mean": 0.5,
        "best/val/loss": 2.0,
    }
    assert best_scores(rows, "val/loss", min)["best/val/loss"] == 1.0
    assert best_scores(rows[1:2], "val/dice/mean") == {}
    json.dumps(best_scores(rows, "val/dice/mean"))


def test_a_score_of_zero_is_not_a_missing_score():
    assert best_scores([{"step": 0, "val/dice/mean": 0.0}], "val/dice/mean")["best/val/dice/mean"] == 0


def test_failed_uploads_are_warnings(tmp_path, caplog):
    def finish(exit_code):
        msg = "timed out"
        raise OSError(msg)

    settings = SimpleNamespace(log_dir=str(tmp_path / "logs"))
    wandb_session.end_run(SimpleNamespace(settings=settings, offline=True, finish=finish), tmp_path, 0)
    assert "is not complete (timed out); finish it with `wandb sync <run folder>/wandb/run-*`" in caplog.text
    WandbRun._send_artifacts(SimpleNamespace(run=None, folder=tmp_path))
    assert "code and split are not uploaded to Weights & Biases: " in caplog.text
