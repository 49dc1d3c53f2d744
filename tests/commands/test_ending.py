"""Commands that are asked to end in each of their phases, where whatever they wait for never comes."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
STALL = """
import time
import torchio as tio
from segment.callbacks import interrupt
interrupt.STEP_S = 2.0
class Stall(tio.Transform):
    def __init__(self, **options):  # those of the node whose class it replaces
        super().__init__()
    def apply_transform(self, subject):
        open("stalled", "w").close()
        time.sleep(3600)
        return subject
"""
SMOKE = (
    "segment.commands.train",
    "experiment=smoke",
    "logger=csv",
    "data.num_workers=2",
    "augment={_target_: stall.Stall}",
)
PHASES = {
    "reading and preparing": ("segment.commands.prepare", "data=phantom_small", "preprocess={_target_: stall.Stall}"),
    "pre-flight": SMOKE,
    "training": (*SMOKE, "preflight=false"),
}
SIGNALS = ("SIGINT", "SIGTERM", "SIGHUP")


def start(folder: Path, *command: str) -> subprocess.Popen[str]:
    (folder / "stall.py").write_text(STALL)
    kept = {key: value for key, value in os.environ.items() if not key.startswith(("WANDB", "HYDRA"))}
    paths = os.pathsep.join([str(folder), str(ROOT)])
    return subprocess.Popen(
        [sys.executable, "-m", *command],
        env=kept | {"PYTHONPATH": paths, "SEGMENT_CACHE": str(folder / "cache"), "OMP_NUM_THREADS": "1"},
        cwd=folder,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        # Tests may run in the background, where Ctrl+C is ignored.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )


def listens(process: subprocess.Popen[str]) -> bool:
    """Whether the process handles SIGHUP, as it does before it imports torch."""
    status = Path(f"/proc/{process.pid}/status").read_text()
    caught = next(line for line in status.splitlines() if line.startswith("SigCgt"))
    return bool(int(caught.split()[1], 16) >> (signal.SIGHUP - 1) & 1)


def wait_until(process: subprocess.Popen[str], condition) -> None:
    end = time.monotonic() + 300
    while not condition():
        assert process.poll() is None, process.communicate()[1]
        assert time.monotonic() < end
        time.sleep(0.02)


def check_end(process: subprocess.Popen[str], name: str) -> str:
    """Send the signal to all of the command's processes, as a terminal does; returns what it says."""
    os.killpg(process.pid, signal.Signals[name])
    err = process.communicate(timeout=90)[1]
    assert process.returncode == (130 if name == "SIGINT" else 143), err
    assert "Traceback" not in err
    assert f"ended by {name}\n" in err
    with pytest.raises(ProcessLookupError):
        os.killpg(process.pid, 0)  # nor are workers left
    return err


@pytest.mark.skipif(sys.platform != "linux", reason="/proc tells who listens")
@pytest.mark.parametrize("name", SIGNALS)
def test_while_torch_is_imported(tmp_path, name):
    process = start(tmp_path, "segment.commands.train")
    wait_until(process, lambda: listens(process))
    assert check_end(process, name) == f"ended by {name}\n"


@pytest.mark.slow
@pytest.mark.parametrize(("phase", "name"), list(zip(PHASES, SIGNALS, strict=True)))
def test_what_waits_forever_ends(tmp_path, phase, name):
    process = start(tmp_path, *PHASES[phase])
    wait_until(process, (tmp_path / "stalled").exists)
    err = check_end(process, name)
    assert ("resume=true" in err) == (phase == "training")
