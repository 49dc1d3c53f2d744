"""What the pre-flight forecasts against what the very same run then takes.

    python benchmarks/forecast.py [cores] [overrides of segment train]

Runs some small configurations, or one of these overrides, with a trial before. The time begins when the forecast is
told and ends with the run; memory is sampled from outside, from then on. With `cores` both times are processor time of
the run with its loader's workers instead of the wall clock's, which other programs on the machine change less. Target:
within 20 %.
"""

import json
import math
import multiprocessing
import os
import subprocess
import sys
import tempfile
import threading
import time
from contextlib import suppress
from pathlib import Path

import psutil
from rich.console import Console
from rich.table import Table

from segment.commands import train
from segment.forecast import stopwatch

CALM = ["callbacks.progress=null", "+trainer.enable_progress_bar=false", "logger=csv"]
SMALL = ["data=phantom_small", "spacing_mm=[5,5,5]", "data.patch_size=[32,32,32]"]
RUNS = {
    "smoke": ["experiment=smoke"],
    "smoke, 40 patches": ["experiment=smoke", "data.patches_per_epoch=40", "trainer.max_epochs=4"],
    "2 workers": ["experiment=smoke", "data.patches_per_epoch=80", "data.num_workers=2", "augment=strong"],
    "another net": [*SMALL, "model/net=segresnet", "data.patches_per_epoch=40", "trainer.max_epochs=3"],
    "validation rarely": [
        *["experiment=smoke", "data.patches_per_epoch=20", "trainer.max_epochs=9", "split.val=0.4"],
        *["trainer.check_val_every_n_epoch=3", "trainer.accumulate_grad_batches=2"],
    ],
    "no test, deep patch": [
        "experiment=smoke",
        "data.patch_size=[48,48,48]",
        "data.patches_per_epoch=30",
        "test=false",
    ],
    "loss that rises": [
        *["experiment=smoke", "model/criterion=boundary", "data.patches_per_epoch=40"],
        "trainer.max_epochs=4",
    ],
    "quick": ["trainer.max_epochs=3"],
}


def main() -> None:
    """Run and print the table."""
    cores = sys.argv[1:2] == ["cores"]
    given = sys.argv[1 + cores :]
    table = Table(title=f"forecast and reference, seconds of {'processor time' if cores else 'the wall clock'}")
    for name in ("run", "forecast", "true", "ratio", "GB forecast", "true", "ratio", "trial s", "trial, share"):
        table.add_column(name, justify="left" if name == "run" else "right")
    with tempfile.TemporaryDirectory() as folder:
        for number, (name, overrides) in enumerate(({"given": given} if given else RUNS).items()):
            calls = [*CALM, f"cache_dir={folder}/cache", *overrides]
            cells = measure(Path(folder) / str(number), calls, cores)
            table.add_row(name, *cells)
            print(name, *cells, f"load {os.getloadavg()[0]:.1f}", flush=True)
    Console(width=120).print(table)


def start(run: Path, overrides: list[str], cores: bool = False) -> subprocess.Popen[bytes]:
    """A process that runs it and notes when its training began, when it ended, and when its trial began."""
    call = [sys.executable, __file__, "--run", *(["cores"] if cores else []), *overrides, f"hydra.run.dir={run}"]
    return subprocess.Popen(call, stdout=subprocess.DEVNULL)


def measure(run: Path, overrides: list[str], cores: bool) -> list[str]:
    """Cells of a row."""
    process = start(run, overrides, cores)
    memory = Memory(process.pid, run / "preflight.json")
    memory.start()
    if process.wait():
        sys.exit(f"the run failed: {overrides}")
    memory.join()
    told = json.loads((run / "preflight.json").read_text())
    times = json.loads((run / "times.json").read_text())
    trial_s, true_s = times["told"] - times["begun"], times["ended"] - times["told"]
    gigabytes = told["memory_bytes"] / 1e9, memory.peak / 1e9
    return [
        *(f"{told['total_s']:.1f}", f"{true_s:.1f}", f"{told['total_s'] / true_s:.2f}"),
        *(f"{gigabytes[0]:.2f}", f"{gigabytes[1]:.2f}", f"{gigabytes[0] / gigabytes[1]:.2f}"),
        *(f"{trial_s:.1f}", f"{trial_s / true_s:.0%}"),
    ]


class Memory(threading.Thread):
    """Samples the memory of a process and what its loader's workers hold beside it, from its forecast to its end.

    What a worker holds for itself is counted page by page, which takes the better part of a core when it is asked for
    often: once in two seconds.

    Args:
        pid: The process.
        told: The file that appears with the forecast.

    Attributes:
        peak: The largest sum so far, in bytes.
    """

    def __init__(self, pid: int, told: Path) -> None:
        super().__init__(daemon=True)
        self.process = psutil.Process(pid)
        self.told = told
        self.peak = 0
        self.of_workers, self.looked_at = 0, -math.inf

    def run(self) -> None:
        """Sample."""
        while self.process.is_running() and self.process.status() != psutil.STATUS_ZOMBIE:
            if self.told.exists():
                with suppress(psutil.NoSuchProcess):  # a worker may end meanwhile
                    self.peak = max(self.peak, self.held())
            time.sleep(0.05)

    def held(self) -> int:
        """Bytes now."""
        if time.monotonic() - self.looked_at > 2:
            self.looked_at = time.monotonic()
            self.of_workers = sum(child.memory_full_info().uss for child in self.process.children())
        return self.process.memory_info().rss + self.of_workers


class CoreClock:
    """`time.perf_counter` in seconds of processor time, of this process and of its workers, running and ended."""

    @staticmethod
    def perf_counter() -> float:
        """Seconds."""
        own = os.times()
        total = own.user + own.system + own.children_user + own.children_system
        for child in multiprocessing.active_children():
            try:
                times = psutil.Process(child.pid).cpu_times()
            except psutil.NoSuchProcess:
                continue
            total += times.user + times.system
        return total


def run_timed() -> None:
    """`segment train` with notes of the time."""
    cores = sys.argv[2:3] == ["cores"]
    del sys.argv[1 : 2 + cores]
    clock = CoreClock if cores else time
    if cores:
        stopwatch.time = CoreClock
    times = {}
    before = train.preflight

    def preflight(cfg, parts, folder, checkpoint):
        times["folder"], times["begun"] = str(folder), clock.perf_counter()
        result = before(cfg, parts, folder, checkpoint)
        times["told"] = clock.perf_counter()
        return result

    train.preflight = preflight
    try:
        train.main()
    finally:
        if times:
            times["ended"] = clock.perf_counter()
            (Path(times.pop("folder")) / "times.json").write_text(json.dumps(times))


if __name__ == "__main__":
    run_timed() if sys.argv[1:2] == ["--run"] else main()
