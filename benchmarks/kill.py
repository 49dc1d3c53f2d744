"""Kill runs at random instants, resume them, and compare them with an undisturbed run.

    python benchmarks/kill.py [instants] [overrides of segment train]

Each run is killed (kill -9) and resumed up to `KILLS` times, at random instants between the start and the end of
training, and then finishes. It must equal the undisturbed run bit for bit: all of the last checkpoint (weights,
optimizer, schedule, callbacks, averages), the weights of the best one, and every row of metrics.csv and cases.csv. The
instants fall into training, validation, testing and the writing of checkpoints, which here happens after every step.
"""

import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Any

import torch
from rich.console import Console
from rich.table import Table

KILLS = 5  # per run
QUICK = ["experiment=smoke", "data.patches_per_epoch=12", "data.batch_size=1", "trainer.max_epochs=3"]
QUICK += [
    "preflight=false",
    "callbacks.interrupt.minutes=0",
    "callbacks.cases.overlay=false",
    "callbacks.validation.overlay=false",
    "callbacks.progress=null",
    "logger=[csv]",
]


def main() -> None:
    """Run and print the table."""
    instants = int(sys.argv[1]) if sys.argv[1:] and sys.argv[1].isdigit() else 50
    overrides = QUICK + [argument for argument in sys.argv[1:] if not argument.isdigit()]
    moments = random.Random(0)
    where: Counter[str] = Counter()
    equal, kills = 0, 0
    with tempfile.TemporaryDirectory() as folder:
        reference, fit_s = undisturbed(Path(folder), overrides)
        runs = 0
        while kills < instants:
            run = Path(folder) / str(runs)
            runs += 1
            left = min(KILLS, instants - kills)
            while left:
                phase = kill(run, overrides, moments.uniform(0, fit_s))
                if phase is None:  # it ended before the kill
                    break
                where[phase] += 1
                kills, left = kills + 1, left - 1
            finish(run, overrides)
            different = differences(reference, run)
            equal += not different
            print(f"run {runs}: {kills} kills so far, {different or 'equal'}", flush=True)
            shutil.rmtree(run)
    table = Table(title=f"{kills} kills of {runs} runs")
    for name in ("killed during", "times"):
        table.add_column(name)
    for phase, times in sorted(where.items()):
        table.add_row(phase, str(times))
    Console().print(table)
    print(f"{equal} of {runs} runs ended bit-identical")
    sys.exit(equal != runs)


def arguments(run: Path, overrides: list[str]) -> list[str]:
    """Arguments of `segment train` that start the run or resume it."""
    resume = ["resume=true"] if (run / "config.yaml").exists() else []
    return [*overrides, f"hydra.run.dir={run}", *resume]


def start(run: Path, overrides: list[str]) -> subprocess.Popen[bytes]:
    """Start a process that starts the run or resumes it."""
    call = [sys.executable, "-m", "segment.commands.train", *arguments(run, overrides)]
    with (run.parent / f"{run.name}.txt").open("ab") as output:
        return subprocess.Popen(call, stdout=output, stderr=output, env={**os.environ, "OMP_NUM_THREADS": "1"})


def undisturbed(folder: Path, overrides: list[str]) -> tuple[Path, float]:
    """Run without kills; return the run folder and the seconds from the start of training to the end."""
    run = folder / "reference"
    finish(run, overrides)  # fills the cache
    shutil.rmtree(run)
    process = start(run, overrides)
    wait_for_training(run, process, before=None)
    began = time.monotonic()
    assert process.wait() == 0, (folder / "reference.txt").read_text()
    return run, time.monotonic() - began


def kill(run: Path, overrides: list[str], after_s: float) -> str | None:
    """Start or resume the run, kill it after this time, and return its phase; None if it ended before."""
    config = run / "config.yaml"
    before = config.stat().st_mtime_ns if config.exists() else None
    process = start(run, overrides)
    wait_for_training(run, process, before)
    time.sleep(after_s)
    phase = current_phase(run)
    process.send_signal(signal.SIGKILL)
    return phase if process.wait() == -signal.SIGKILL else None


def wait_for_training(run: Path, process: subprocess.Popen[bytes], before: int | None) -> None:
    """Wait until config.yaml is written, the last file before training."""
    config = run / "config.yaml"
    while process.poll() is None and (not config.exists() or config.stat().st_mtime_ns == before):
        time.sleep(0.01)


def current_phase(run: Path) -> str:
    """Phase of the run, from the files in its folder."""
    checkpoints = run / "checkpoints"
    if any(checkpoints.glob(".*.ckpt")):
        return "writing a checkpoint"
    if (run / "cases.csv").exists():
        return "testing"
    return "training or validation"


def finish(run: Path, overrides: list[str]) -> None:
    """Start or resume the run, and wait for its end."""
    assert start(run, overrides).wait() == 0, (run.parent / f"{run.name}.txt").read_text()


def differences(one: Path, other: Path) -> list[str]:
    """Names of the tables and checkpoint values that differ."""
    tables = []
    for name in ("metrics.csv", "cases.csv"):
        is_written = (one / name).exists()  # there is no cases.csv without a test
        if is_written and (one / name).read_text() != (other / name).read_text():
            tables.append(name)
    last = unequal(load(one, "last.ckpt"), load(other, "last.ckpt"), "last.ckpt")
    best = unequal(load(one, "best.ckpt")["state_dict"], load(other, "best.ckpt")["state_dict"], "best.ckpt")
    return [*tables, *last, *best]


def load(run: Path, name: str) -> dict[str, Any]:
    """Read a checkpoint of a run."""
    return torch.load(run / "checkpoints" / name, weights_only=True)


def unequal(one: Any, other: Any, name: str) -> list[str]:
    """Names of the values that differ."""
    if isinstance(one, torch.Tensor) and isinstance(other, torch.Tensor):
        return [] if torch.equal(one, other) else [name]
    if isinstance(one, dict) and isinstance(other, dict):
        found = []
        for key in sorted(one.keys() | other.keys(), key=str):
            found += unequal(one.get(key), other.get(key), f"{name}/{key}")
        return found
    if isinstance(one, list | tuple) and isinstance(other, list | tuple) and len(one) == len(other):
        found = []
        for index, pair in enumerate(zip(one, other, strict=True)):
            found += unequal(*pair, f"{name}/{index}")
        return found
    same = type(one) is type(other) and (one == other or (one != one and other != other))  # NaN equals NaN
    return [] if same else [f"{name}: {one} / {other}"]


if __name__ == "__main__":
    main()
