"""Kill runs at random instants, resume them, and compare them with a run that nobody touched.

    python benchmarks/kill.py [instants] [overrides of segment train]

A run is killed (kill -9) again and again, each time at a random instant between the start of training and its end, and
resumed, until it has survived `KILLS` of them and may finish. It then has to equal the undisturbed run bit for bit:
all of the last checkpoint (weights, optimizer, schedule, callbacks, averages), the weights of the best one, and every
row of metrics.csv and cases.csv. Instants fall into training, validation, testing and the writing of checkpoints, which
is after every step here.
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

KILLS = 5  # of one run
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
    overrides = [*QUICK, *(argument for argument in sys.argv[1:] if not argument.isdigit())]
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
                if (phase := killed(run, overrides, moments.uniform(0, fit_s))) is None:
                    break  # it was done before
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


def start(run: Path, overrides: list[str]) -> subprocess.Popen[bytes]:
    """A process that begins the run or goes on with it."""
    resume = ["resume=true"] if (run / "config.yaml").exists() else []
    call = [sys.executable, "-m", "segment.commands.train", *overrides, f"hydra.run.dir={run}", *resume]
    with (run.parent / f"{run.name}.txt").open("ab") as output:
        return subprocess.Popen(call, stdout=output, stderr=output, env={**os.environ, "OMP_NUM_THREADS": "1"})


def undisturbed(folder: Path, overrides: list[str]) -> tuple[Path, float]:
    """A run that nobody touches, and the seconds from the start of its training to its end."""
    run = folder / "reference"
    finish(run, overrides)  # fills the cache
    shutil.rmtree(run)
    process = start(run, overrides)
    wait_for_training(run, process, before=None)
    began = time.monotonic()
    assert process.wait() == 0, (folder / "reference.txt").read_text()
    return run, time.monotonic() - began


def killed(run: Path, overrides: list[str], after_s: float) -> str | None:
    """Start or resume, kill, and tell what it was doing; None if it ended before."""
    config = run / "config.yaml"
    before = config.stat().st_mtime_ns if config.exists() else None
    process = start(run, overrides)
    wait_for_training(run, process, before)
    time.sleep(after_s)
    phase = doing(run)
    process.send_signal(signal.SIGKILL)
    return phase if process.wait() == -signal.SIGKILL else None


def wait_for_training(run: Path, process: subprocess.Popen[bytes], before: int | None) -> None:
    """config.yaml is the last that is written before training."""
    config = run / "config.yaml"
    while process.poll() is None and (not config.exists() or config.stat().st_mtime_ns == before):
        time.sleep(0.01)


def doing(run: Path) -> str:
    """What the run folder tells."""
    checkpoints = run / "checkpoints"
    if any(checkpoints.glob(".*.ckpt")):
        return "writing a checkpoint"
    if (run / "cases.csv").exists():
        return "testing"
    return "training or validation"


def finish(run: Path, overrides: list[str]) -> None:
    """Start or resume, and wait."""
    assert start(run, overrides).wait() == 0, (run.parent / f"{run.name}.txt").read_text()


def differences(one: Path, other: Path) -> list[str]:
    """What is not equal."""
    written = [name for name in ("metrics.csv", "cases.csv") if (one / name).exists()]  # none of a test without one
    tables = [name for name in written if (one / name).read_text() != (other / name).read_text()]
    last, best = (
        [torch.load(run / "checkpoints" / name, weights_only=True) for run in (one, other)]
        for name in ("last.ckpt", "best.ckpt")
    )
    return [*tables, *unequal(*last, "last.ckpt"), *unequal(best[0]["state_dict"], best[1]["state_dict"], "best.ckpt")]


def unequal(one: Any, other: Any, name: str) -> list[str]:
    """Names of the values that differ."""
    if isinstance(one, torch.Tensor) and isinstance(other, torch.Tensor):
        return [] if torch.equal(one, other) else [name]
    if isinstance(one, dict) and isinstance(other, dict):
        keys = sorted(one.keys() | other.keys(), key=str)
        return [path for key in keys for path in unequal(one.get(key), other.get(key), f"{name}/{key}")]
    if isinstance(one, list | tuple) and isinstance(other, list | tuple) and len(one) == len(other):
        pairs = enumerate(zip(one, other, strict=True))
        return [path for index, pair in pairs for path in unequal(*pair, f"{name}/{index}")]
    same = type(one) is type(other) and (one == other or (one != one and other != other))  # NaN equals NaN
    return [] if same else [f"{name}: {one} / {other}"]


if __name__ == "__main__":
    main()
