"""Speed of commands on a busy machine, with and without the settings of `segment/runtime/machine.py`.

    python benchmarks/busy.py [seconds of a training, 15]

Trainings (seconds per step, default network, batches of 2 patches of 64³) and predictions (seconds per CT at 1.5 mm)
run alone, beside one busy loop per core, and two at a time. *Before* runs the same modules without
`segment/runtime/machine.py`: OpenMP's threads spin, and glibc returns freed blocks of more than 32 MiB to the system.
Before and after take turns, so that a slower machine slows both. The benchmark needs no network and ignores the user's
settings. Targets: alone, at least as fast as before; two at a time, at most 2.2 times the time alone.
"""

import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import median

import nibabel
import numpy as np
import pytorch_lightning as pl
from rich.console import Console
from rich.table import Table

BARE = "import runpy, sys; runpy.run_module(sys.argv.pop(1), run_name='__main__', alter_sys=True)"
PROGRAMS = {"before": [sys.executable, "-c", BARE], "after": [sys.executable, "-m"]}
SITUATIONS = {"alone": (1, 0), "beside other jobs": (1, os.cpu_count() or 1), "two at a time": (2, 0)}
OURS = ("OMP_", "GOMP_", "KMP_", "MALLOC_", "GLIBC_TUNABLES")
RECIPE = ["experiment=quick", "data=phantom_small", "spacing_mm=[1.5,1.5,1.5]", "logger=csv", "test=false"]
RECIPE += ["preflight=false", "callbacks.progress=null", "callbacks.checkpoint=null", "callbacks.early_stopping=null"]
RECIPE += ["+trainer.limit_val_batches=0"]


class Clock(pl.Callback):
    """Writes the median time of a training's steps in seconds, without the first three."""

    def __init__(self, path: str) -> None:
        self.path = Path(path)

    def on_train_start(self, trainer, module) -> None:
        self.ends = [time.perf_counter()]

    def on_train_batch_end(self, trainer, module, outputs, batch, batch_idx) -> None:
        self.ends.append(time.perf_counter())

    def on_train_end(self, trainer, module) -> None:
        steps = np.diff(self.ends)
        self.path.write_text(str(median(steps[min(3, len(steps) - 1) :])))


def main() -> None:
    """Run and print the table."""
    seconds = int(sys.argv[1]) if sys.argv[1:] else 15
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        prepare(folder)
        measures = {
            "train, s a step": lambda program, run: train(folder, program, run, seconds),
            "predict, s a CT": lambda program, run: predict(folder, program, run),
        }
        table = Table(
            title=f"{os.cpu_count()} cores, {' '.join(f'{load:.1f}' for load in os.getloadavg())} load before"
        )
        for column in ("", "", "before", "after", "after / before", "after / alone after"):
            table.add_column(column, justify="right" if "e" in column else "left")
        for what, measure in measures.items():
            alone = None
            for situation, (count, others) in SITUATIONS.items():
                with busy(others):
                    found = {name: at_once(measure, program, count) for name, program in PROGRAMS.items()}
                before, after = found["before"], found["after"]
                alone = alone or after
                numbers = (f"{before:.2f}", f"{after:.2f}", f"{after / before:.2f}", f"{after / alone:.2f}")
                table.add_row(what, situation, *numbers)
                print(what, situation, *numbers, flush=True)
    Console().print(table)


def environment(folder: Path) -> dict[str, str]:
    """The environment of this process without settings of OpenMP and malloc."""
    kept = {key: value for key, value in os.environ.items() if not key.startswith(OURS)}
    paths = os.pathsep.join([str(Path(__file__).parent), kept.get("PYTHONPATH", "")])
    return kept | {"PYTHONPATH": paths, "SEGMENT_CACHE": str(folder / "cache")}


def prepare(folder: Path) -> None:
    """Create a checkpoint, a filled store and a CT (a cylinder of water with noise)."""
    rng = np.random.default_rng(0)
    across = np.hypot(*np.mgrid[-1:1:192j, -1:1:192j]) < 0.8
    voxels = np.where(across[..., None], 0, -1000) + rng.normal(0, 20, (192, 192, 96))
    nibabel.save(nibabel.Nifti1Image(voxels.astype(np.int16), np.diag([1.5, 1.5, 1.5, 1])), folder / "ct.nii.gz")
    overrides = [*RECIPE, "data.patches_per_epoch=2", "trainer.max_epochs=1", f"hydra.run.dir={folder}/made"]
    run = [*PROGRAMS["after"], "segment.commands.train", *overrides]
    subprocess.run(run, env=environment(folder), check=True, capture_output=True)


def at_once(measure, program: list[str], count: int) -> float:
    """Mean time of processes that start together."""
    running = [measure(program, run) for run in range(count)]
    return float(np.mean([end() for end in running]))


def train(folder: Path, program: list[str], run: int, seconds: int):
    """Start a training; return a function that waits for it and returns its seconds per step."""
    steps = folder / f"steps{run}"
    time_limit = f"00:00:{seconds // 60:02}:{seconds % 60:02}"
    overrides = [*RECIPE, "data.patches_per_epoch=20000", f"+trainer.max_time='{time_limit}'"]
    overrides += ["callbacks.last=null", "+callbacks.clock._target_=busy.Clock", f"+callbacks.clock.path={steps}"]
    overrides += [f"hydra.run.dir={folder}/{time.time_ns()}"]
    process = start([*program, "segment.commands.train", *overrides], folder)

    def end() -> float:
        finish(process)
        return float(steps.read_text())

    return end


def predict(folder: Path, program: list[str], run: int):
    """Start a prediction; return a function that waits for it and returns its seconds for the CT."""
    overrides = [f"ckpt={folder}/made/checkpoints/last.ckpt", f"input={folder}/ct.nii.gz", "pictures=false"]
    overrides += [f"output={folder}/{time.time_ns()}"]
    process = start([*program, "segment.commands.predict", *overrides], folder)

    def end() -> float:
        seconds = re.search(r"1/1 ct\S*: ([\d.]+) s", finish(process))
        assert seconds is not None
        return float(seconds[1])

    return end


def start(command: list[str], folder: Path) -> subprocess.Popen[str]:
    """Start a command in the folder."""
    return subprocess.Popen(
        command, env=environment(folder), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, cwd=folder
    )


def finish(process: subprocess.Popen[str]) -> str:
    """Wait for a command and return its output."""
    output = process.communicate()[0]
    assert process.returncode == 0, output
    return output


@contextmanager
def busy(count: int) -> Iterator[None]:
    """Keep this many cores busy while the block runs."""
    others = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(count)]
    try:
        yield
    finally:
        for process in others:
            process.kill()
            process.wait()


if __name__ == "__main__":
    main()
