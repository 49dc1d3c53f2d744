"""Forecast of the pre-flight compared with the time and memory that the same run takes.

    python benchmarks/forecast.py [cores] [overrides of segment train]

Runs some small configurations, or a single one with the given overrides, each with a trial. The time is measured from
the forecast to the end of the run; memory is sampled by another process in this time. With `cores` both times are
processor time of the run and its loader's workers instead of wall time, because other programs change it less. Target:
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
        "experiment=smoke",
        "data.patches_per_epoch=20",
        "trainer.max_epochs=9",
        "split.val=0.4",
        "trainer.check_val_every_n_epoch=3",
        "trainer.accumulate_grad_batches=2",
    ],
    "no test, deep patch": [
        "experiment=smoke",
        "data.patch_size=[48,48,48]",
        "data.patches_per_epoch=30",
        "test=false",
    ],
    "loss that rises": [
        "experiment=smoke",
        "model/criterion=boundary",
        "data.patches_per_epoch=40",
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
    """Start a process that runs the training and writes the times of its trial and of its end."""
    call = [sys.executable, __file__, "--run"]
    if cores:
        call.append("cores")
    call += [*overrides, f"hydra.run.dir={run}"]
    return subprocess.Popen(call, stdout=subprocess.DEVNULL)


def measure(run: Path, overrides: list[str], cores: bool) -> list[str]:
    """Run a configuration and return the cells of its row."""
    process = start(run, overrides, cores)
    memory = Memory(process.pid, run / "preflight.json")
    memory.start()
    if process.wait():
        sys.exit(f"the run failed: {overrides}")
    memory.join()
    forecast = json.loads((run / "preflight.json").read_text())
    times = json.loads((run / "times.json").read_text())
    trial_s, true_s = times["forecast"] - times["trial"], times["end"] - times["forecast"]
    forecast_s, forecast_gb, true_gb = forecast["total_s"], forecast["memory_bytes"] / 1e9, memory.peak / 1e9
    cells = [f"{forecast_s:.1f}", f"{true_s:.1f}", f"{forecast_s / true_s:.2f}"]
    cells += [f"{forecast_gb:.2f}", f"{true_gb:.2f}", f"{forecast_gb / true_gb:.2f}"]
    return [*cells, f"{trial_s:.1f}", f"{trial_s / true_s:.0%}"]


class Memory(threading.Thread):
    """Samples the memory of a process and of its loader's workers, from its forecast to its end.

    The workers' own memory is sampled only every two seconds, because the system counts it page by page, which would
    use most of a core.

    Args:
        pid: Id of the process.
        forecast: File that the process writes with its forecast.

    Attributes:
        peak: The largest sum so far, in bytes.
    """

    def __init__(self, pid: int, forecast: Path) -> None:
        super().__init__(daemon=True)
        self.process = psutil.Process(pid)
        self.forecast = forecast
        self.peak = 0
        self.worker_bytes, self.looked_at = 0, -math.inf

    def run(self) -> None:
        """Sample."""
        while self.process.is_running() and self.process.status() != psutil.STATUS_ZOMBIE:
            if self.forecast.exists():
                with suppress(psutil.NoSuchProcess):  # a worker may end meanwhile
                    self.peak = max(self.peak, self.held())
            time.sleep(0.05)

    def held(self) -> int:
        """Present memory in bytes."""
        if time.monotonic() - self.looked_at > 2:
            self.looked_at = time.monotonic()
            self.worker_bytes = sum(child.memory_full_info().uss for child in self.process.children())
        return self.process.memory_info().rss + self.worker_bytes


class CoreClock:
    """Clock like `time.perf_counter`, of the processor time of this process and its workers."""

    @staticmethod
    def perf_counter() -> float:
        """Processor time in seconds."""
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
    """Run `segment train` and write times.json."""
    cores = sys.argv[2:3] == ["cores"]
    del sys.argv[1 : 2 + cores]
    clock = CoreClock if cores else time
    if cores:
        stopwatch.time = CoreClock
    times = {}
    before = train.preflight

    def preflight(cfg, parts, folder, checkpoint):
        times["folder"], times["trial"] = str(folder), clock.perf_counter()
        result = before(cfg, parts, folder, checkpoint)
        times["forecast"] = clock.perf_counter()
        return result

    train.preflight = preflight
    try:
        train.main()
    finally:
        if times:
            times["end"] = clock.perf_counter()
            (Path(times.pop("folder")) / "times.json").write_text(json.dumps(times))


if __name__ == "__main__":
    run_timed() if sys.argv[1:2] == ["--run"] else main()
