"""Weights & Biases online and synced later: the real client with a fake server."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import wandb
from wandb_file import offline_runs
from wandb_server import KEY, served

from segment.loggers import wandb_run
from segment.loggers.wandb_run import WandbRun

CASES = "case,organ,dice,hd95_mm,nsd,volume_ml_reference,volume_ml_pred\na,liver,0.9,1.5,0.8,1000.0,990.0\n"


@pytest.fixture
def server(tmp_path, monkeypatch):
    """A fake server and a key for it. wandb reads the environment once, so its service is restarted."""
    for name in list(os.environ):
        if name.startswith("WANDB") or name == "NETRC":
            monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(tmp_path))
    with served() as server:
        monkeypatch.setenv("WANDB_BASE_URL", server.url)
        monkeypatch.setenv("WANDB_API_KEY", KEY)
        wandb.teardown()
        yield server
        wandb.teardown()


@pytest.fixture
def folder(tmp_path):
    folder = tmp_path / "runs" / "2026-01-01_00-00-00"
    folder.mkdir(parents=True)
    (folder / "split.json").write_text('{"test": ["a"]}')
    (folder / "cases.csv").write_text(CASES)
    return folder


@pytest.fixture
def no_code(monkeypatch):
    """Skip the upload of hundreds of small files."""
    monkeypatch.setattr(wandb_run, "send_artifacts", lambda run, folder: None)


def start(folder, step, offline=None):
    logger = WandbRun(folder, "segment", group="quick", tags=["paper"], monitor="val/dice/mean", offline=offline)
    logger.log_hyperparams({"seed": 7, "organs": ["liver"]})
    logger.truncate(step)
    return logger


def log_steps(logger, steps):
    for step in steps:
        logger.log_metrics({"val/dice/mean": 1 / (step + 2), "epoch": step}, step=step)


def leave_unfinished(logger):
    """Stop without sending the last row, which is sent when the next one starts."""
    logger.run.finish()
    logger.run = None


def scalars(server, run):
    return [
        {name: value for name, value in row.items() if name not in ("_runtime", "_timestamp", "cases")}
        for row in server.rows(run)
    ]


def expected(count):
    return [{"val/dice/mean": 1 / (s + 2), "epoch": s, "_step": s} for s in range(count)]


def test_the_server_gets_all_data_and_no_facts_about_the_machine(server, folder):
    logger = start(folder, 0)
    log_steps(logger, range(4))
    logger.finalize("success")
    logger.finish()
    (run,) = server.runs
    assert run == (folder / "wandb" / "run_id").read_text()
    assert scalars(server, run) == expected(4)
    record = server.runs[run]
    assert (record["project"], record["groupName"], record["tags"]) == ("segment", "quick", ["paper"])
    config = {key: item["value"] for key, item in json.loads(record["config"]).items()}
    assert (config["seed"], config["organs"]) == (7, ["liver"])
    assert server.files["run/cases.csv"] == CASES.encode()
    assert server.files["run/split.json"] == b'{"test": ["a"]}'
    assert json.loads(server.files["run/wandb-summary.json"])["best/val/dice/mean"] == 0.5
    assert server.artifacts == {"segment-code": "code", "segment-split": "split"}
    root = Path(__file__).parents[2]
    for name in (
        "segment/commands/train.py",
        "segment/loggers/wandb_run.py",
        "conf/train.yaml",
        "conf/logger/wandb.yaml",
    ):
        assert server.files[f"segment-code/{name}"] == (root / name).read_bytes()
    code = {name.split("/")[1] for name in server.files if name.startswith("segment-code/")}
    assert code == {"segment", "conf"}
    assert server.files["segment-split/split.json"] == b'{"test": ["a"]}'
    for secret in (str(folder.parents[1]), str(root), os.uname().nodename + '"'):
        assert not [content for content in server.requests if secret.encode() in content]


def test_a_run_resumed_online_has_every_step_once(server, folder, no_code):
    first = start(folder, 0)
    log_steps(first, range(5))
    leave_unfinished(first)
    (run,) = server.runs
    assert len(server.rows(run)) == 4
    second = start(folder, 2)  # the server already has later steps than the checkpoint
    log_steps(second, range(2, 7))
    second.finish()
    assert list(server.runs) == [run]
    assert scalars(server, run) == expected(7)
    assert server.rows(run)[-1]["cases"]["_type"] == "table-file"


def test_a_row_that_was_incomplete_at_a_failure_is_sent_complete_by_the_resumed_run(server, folder, no_code):
    first = start(folder, 0)
    log_steps(first, range(2))
    first.log_metrics({"epoch": 2}, step=2)  # the failure comes before the score
    first.finalize("failed")
    first.finish()
    (run,) = server.runs
    assert scalars(server, run) == expected(2)
    second = start(folder, 2)
    log_steps(second, range(2, 4))
    second.finish()
    assert scalars(server, run) == expected(4)


def test_a_run_started_offline_and_resumed_online_is_complete(server, folder, no_code):
    first = start(folder, 0, offline=True)
    log_steps(first, range(3))
    leave_unfinished(first)
    assert server.runs == {}
    second = start(folder, 3)
    log_steps(second, range(3, 5))
    second.finish()
    (run,) = server.runs
    assert scalars(server, run) == expected(5)
    assert not list((folder / "wandb").glob("offline-run-*"))


def test_an_offline_run_can_be_moved_and_synced_later(server, folder, tmp_path):
    logger = start(folder, 0, offline=True)
    log_steps(logger, range(4))
    logger.finish()
    (offline,) = offline_runs(folder)
    moved = folder.rename(tmp_path / "moved")
    (path,) = moved.glob("wandb/offline-run-*")
    command = [sys.executable, "-m", "wandb", "sync", str(path)]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False, timeout=100)
    assert done.returncode == 0, done.stdout + done.stderr
    (run,) = server.runs
    assert run == offline.run.run_id
    assert scalars(server, run) == expected(4)
    assert server.files["run/cases.csv"] == CASES.encode()
    table = server.rows(run)[-1]["cases"]["path"]
    assert json.loads(server.files[f"run/{table}"])["data"] == [["a", "liver", 0.9, 1.5, 0.8, 1000.0, 990.0]]
