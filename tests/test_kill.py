"""Runs that are stopped at any instant and go on: the short form of benchmarks/kill.py, and signals."""

import os
import signal
import subprocess
import sys
import time
from functools import partial
from pathlib import Path

import pytest
import torch

ROOT = Path(__file__).parents[1]
RUN = ["experiment=smoke", "data.patches_per_epoch=6", "data.batch_size=1", "trainer.max_epochs=2", "test=false"]
RUN += ["callbacks.progress=null", "logger=[csv]", "trainer.accumulate_grad_batches=2", "preflight=false"]
LATE = """
import os, signal
import pytorch_lightning as pl
class Late(pl.Callback):
    def on_test_batch_start(self, *args):
        os.kill(os.getpid(), signal.SIGTERM)
"""
pytestmark = pytest.mark.xdist_group("kill")


@pytest.fixture(scope="module")
def environment(tmp_path_factory) -> dict[str, str]:
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("WANDB", "HYDRA"))}
    return kept | {"SEGMENT_CACHE": str(tmp_path_factory.mktemp("cache")), "OMP_NUM_THREADS": "1"}


def start(folder: Path, environment: dict[str, str], *overrides: str) -> subprocess.Popen[bytes]:
    """A run that says what goes wrong in `<folder>.txt`."""
    call = [sys.executable, "-m", "segment.commands.train", *RUN, f"hydra.run.dir={folder}", *overrides]
    with said(folder).open("wb") as output:
        # Tests may run in the background, where Ctrl+C is ignored.
        heeds = partial(signal.signal, signal.SIGINT, signal.SIG_DFL)
        return subprocess.Popen(call, env=environment, stderr=output, stdout=subprocess.DEVNULL, preexec_fn=heeds)


def said(folder: Path) -> Path:
    return folder.with_suffix(".txt")


@pytest.mark.slow
def test_killed_at_random_instants_runs_end_as_if_never_killed(environment):
    command = [sys.executable, str(ROOT / "benchmarks" / "kill.py"), "3", "data.num_workers=1"]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=600, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "3 kills" in done.stdout


def test_a_run_that_stopped_early_stays_stopped(tmp_path, environment):
    stop = ["callbacks.early_stopping.patience=1", "callbacks.early_stopping.min_delta=1", "trainer.max_epochs=6"]
    run = tmp_path / "run"
    assert start(run, environment, *stop).wait() == 0, said(run).read_text()
    rows = (run / "metrics.csv").read_text()
    assert start(run, environment, *stop, "resume=true").wait() == 0, said(run).read_text()
    assert (run / "metrics.csv").read_text() == rows
    more = ["callbacks.early_stopping.patience=2", "allow_changed=[callbacks.early_stopping.patience]"]
    assert start(run, environment, *stop, *more, "resume=true").wait() == 0, said(run).read_text()
    assert torch.load(run / "checkpoints" / "last.ckpt", weights_only=True)["epoch"] == 2  # one epoch more


def test_told_to_end_in_its_test_a_run_does_not_look_finished(tmp_path, environment):
    (tmp_path / "late.py").write_text(LATE)
    late = ["test=true", "+callbacks.late._target_=late.Late", "trainer.max_epochs=1"]
    environment = environment | {"PYTHONPATH": f"{tmp_path}:{ROOT}"}
    run = tmp_path / "run"
    assert start(run, environment, *late).wait() == 143
    assert not list(run.glob("nan"))


@pytest.mark.parametrize(
    ("number", "code"), [(signal.SIGTERM, 143), (signal.SIGHUP, 143), (signal.SIGUSR1, 143), (signal.SIGINT, 130)]
)
def test_told_to_end_a_run_saves_its_step_and_goes_on_with_the_next(tmp_path, environment, number, code):
    reference, run = tmp_path / "reference", tmp_path / "run"
    assert start(reference, environment).wait() == 0, said(reference).read_text()
    process = start(run, environment, "callbacks.interrupt.minutes=0")
    last = run / "checkpoints" / "last.ckpt"
    end = time.monotonic() + 120
    while not last.exists():
        assert process.poll() is None
        assert time.monotonic() < end
        time.sleep(0.005)
    process.send_signal(number)
    assert process.wait() == code
    assert "resume with resume=true" in said(run).read_text()
    stopped_at = torch.load(last, weights_only=True)["global_step"]
    assert 0 < stopped_at < 6
    changed = ["data.num_workers=2", "callbacks.interrupt.minutes=1"]
    allowed = "allow_changed=[data.num_workers,callbacks.interrupt.minutes]"
    assert start(run, environment, *changed, allowed, "resume=true").wait() == 0, said(run).read_text()
    one, other = (torch.load(folder / "checkpoints" / "last.ckpt")["state_dict"] for folder in (reference, run))
    assert all(torch.equal(value, other[name]) for name, value in one.items())
    assert (reference / "metrics.csv").read_text() == (run / "metrics.csv").read_text()
