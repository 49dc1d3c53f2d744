"""Runs that are stopped at any time and resumed: the short form of benchmarks/kill.py, and signals."""

import importlib
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import run_commands
import torch
from run_commands import wait_until

ROOT = Path(__file__).parents[1]
RUN = ["experiment=smoke", "data.patches_per_epoch=6", "data.batch_size=1", "trainer.max_epochs=2", "test=false"]
RUN += ["page=false", "callbacks.progress=null", "logger=[csv]", "trainer.accumulate_grad_batches=2", "preflight=false"]
RUN += ["callbacks.validation.overlay=false"]
LATE = """
import os, signal
import pytorch_lightning as pl
class Late(pl.Callback):
    def on_test_batch_start(self, *args):
        os.kill(os.getpid(), signal.SIGTERM)
"""
pytestmark = pytest.mark.xdist_group("kill")


@pytest.fixture(scope="module")
def env(smoke_cache) -> dict[str, str]:
    return run_commands.environment(SEGMENT_CACHE=smoke_cache)


@pytest.fixture(scope="module")
def reference(tmp_path_factory, env) -> Path:
    """An uninterrupted run, by an interpreter of its own, in which sets have another order than in the others."""
    folder = tmp_path_factory.mktemp("reference")
    done = train(folder, env, cold=True)
    assert done.returncode == 0, done.stderr
    return folder


def train(folder: Path, env: dict[str, str], *overrides: str, cold: bool = False) -> subprocess.CompletedProcess[str]:
    return run_commands.run("train", *RUN, f"hydra.run.dir={folder}", *overrides, env=env, cold=cold)


@pytest.mark.slow
def test_runs_killed_at_random_times_end_like_runs_that_were_not(env, monkeypatch, capsys):
    short = ["data.num_workers=1", "data.patches_per_epoch=6", "trainer.max_epochs=2"]
    monkeypatch.setattr(sys, "argv", ["kill.py", "3", *short])
    monkeypatch.syspath_prepend(ROOT / "benchmarks")
    kill = importlib.import_module("kill")
    started = []

    def start(*run):
        started.append(run_commands.start("train", *kill.arguments(*run), env=env))
        return started[-1]

    monkeypatch.setattr(kill, "start", start)
    try:
        with pytest.raises(SystemExit) as end:
            kill.main()
    finally:
        print(*(process.communicate()[1] for process in started))
    out = capsys.readouterr().out
    assert not end.value.code, out
    assert "3 kills" in out


def test_a_run_that_stopped_early_is_not_continued_by_a_resume(tmp_path, env):
    stop = ["callbacks.early_stopping.patience=1", "callbacks.early_stopping.min_delta=1", "trainer.max_epochs=6"]
    run = tmp_path / "run"
    done = train(run, env, *stop)
    assert done.returncode == 0, done.stderr
    rows = (run / "metrics.csv").read_text()
    done = train(run, env, *stop, "resume=true")
    assert done.returncode == 0, done.stderr
    assert (run / "metrics.csv").read_text() == rows
    more = ["callbacks.early_stopping.patience=2", "allow_changed=[callbacks.early_stopping.patience]"]
    done = train(run, env, *stop, *more, "resume=true")
    assert done.returncode == 0, done.stderr
    assert torch.load(run / "checkpoints" / "last.ckpt", weights_only=True)["epoch"] == 2  # one epoch more


def test_a_run_that_is_stopped_during_its_test_is_not_marked_as_finished(tmp_path, env):
    (tmp_path / "late.py").write_text(LATE)
    late = ["test=true", "+callbacks.late._target_=late.Late", "trainer.max_epochs=1"]
    run = tmp_path / "run"
    assert train(run, env | {"PYTHONPATH": f"{tmp_path}:{ROOT}"}, *late).returncode == 143
    assert not list(run.glob("nan"))


@pytest.mark.parametrize(
    ("number", "code"), [(signal.SIGTERM, 143), (signal.SIGHUP, 143), (signal.SIGUSR1, 143), (signal.SIGINT, 130)]
)
def test_after_a_signal_a_run_saves_its_step_and_resumes_with_the_next(tmp_path, env, reference, number, code):
    run = tmp_path / "run"
    process = run_commands.start("train", *RUN, f"hydra.run.dir={run}", "callbacks.interrupt.minutes=0", env=env)
    last = run / "checkpoints" / "last.ckpt"
    wait_until(last.exists, process)
    process.send_signal(number)
    _, err = process.communicate()
    assert process.returncode == code
    assert "resume with resume=true" in err
    stopped_at = torch.load(last, weights_only=True)["global_step"]
    assert 0 < stopped_at < 6
    changed = ["data.num_workers=2", "callbacks.interrupt.minutes=1"]
    allowed = "allow_changed=[data.num_workers,callbacks.interrupt.minutes]"
    done = train(run, env, *changed, allowed, "resume=true")
    assert done.returncode == 0, done.stderr
    expected, resumed = (torch.load(folder / "checkpoints" / "last.ckpt")["state_dict"] for folder in (reference, run))
    assert all(torch.equal(value, resumed[name]) for name, value in expected.items())
    assert (reference / "metrics.csv").read_text() == (run / "metrics.csv").read_text()
