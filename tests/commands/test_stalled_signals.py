"""Signals end a command in each of its phases, even while it waits for something that never happens."""

import functools
import os
import signal
import sys
from pathlib import Path

import pytest
import run_commands
from run_commands import Process, environment, wait_until

ROOT = Path(__file__).parents[2]
STALL = """
import time
import torchio as tio
from segment.callbacks import interrupt
interrupt.STEP_S = 2.0
class Stall(tio.Transform):
    def __init__(self, **options):  # the options of the class that it replaces
        super().__init__()
    def apply_transform(self, subject):
        open("stalled", "w").close()
        time.sleep(3600)
        return subject
"""
SMOKE = ("train", "experiment=smoke", "logger=csv", "data.num_workers=2", "augment={_target_: stall.Stall}")
PHASES = {
    "reading and preparing": ("prepare", "data=phantom_small", "preprocess={_target_: stall.Stall}"),
    "pre-flight": SMOKE,
    "training": (*SMOKE, "preflight=false"),
}
SIGNALS = ("SIGINT", "SIGTERM", "SIGHUP")


@pytest.fixture
def start(tmp_path, smoke_cache):
    """Start a command with the transform that stalls."""
    (tmp_path / "stall.py").write_text(STALL)
    env = environment(PYTHONPATH=os.pathsep.join([str(tmp_path), str(ROOT)]), SEGMENT_CACHE=smoke_cache)
    return functools.partial(run_commands.start, env=env, cwd=tmp_path, start_new_session=True)


def handles_signals(process: Process) -> bool:
    """Whether the process handles SIGHUP. It does so before it imports torch."""
    status = Path(f"/proc/{process.pid}/status").read_text()
    caught = next(line for line in status.splitlines() if line.startswith("SigCgt"))
    return bool(int(caught.split()[1], 16) >> (signal.SIGHUP - 1) & 1)


def check_end(process: Process, name: str) -> str:
    """Send a signal to all processes of the command, as a terminal does; returns stderr."""
    os.killpg(process.pid, signal.Signals[name])
    err = process.communicate(timeout=90)[1]
    assert process.returncode == (130 if name == "SIGINT" else 143), err
    assert "Traceback" not in err
    assert f"ended by {name}\n" in err
    with pytest.raises(ProcessLookupError):
        os.killpg(process.pid, 0)  # no worker is left
    return err


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
@pytest.mark.parametrize("name", SIGNALS)
def test_a_signal_during_the_import_of_torch(start, name):
    process = start("train", cold=True)
    wait_until(lambda: handles_signals(process), process)
    assert check_end(process, name) == f"ended by {name}\n"


@pytest.mark.slow
@pytest.mark.parametrize(("phase", "name"), list(zip(PHASES, SIGNALS, strict=True)))
def test_a_signal_while_a_worker_stalls(tmp_path, start, phase, name):
    process = start(*PHASES[phase])
    wait_until((tmp_path / "stalled").exists, process)
    err = check_end(process, name)
    assert ("resume=true" in err) == (phase == "training")
