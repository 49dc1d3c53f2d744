"""One contender of `race.py`: what it is given, and the clock that says when to save its weights."""

import json
import math
import os
import subprocess
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import psutil

from segment.files import atomic_write

NAME = "Dataset801_Race"  # folder of the training cases; nnU-Net asks for this form


@dataclass(frozen=True)
class Job:
    """What a contender is given; the same for all but for its name and its options.

    Attributes:
        contender: Its name.
        folder: Where it writes.
        data: Folder of the training cases, in nnU-Net's raw layout, with `splits_final.json`.
        minutes: Processor minutes of the marks, ascending. The last one ends the training.
        threads: Threads and workers of the loader.
        spacing_mm: Edge of a voxel after resampling; nnU-Net plans its own.
        patch: Edge of a patch in voxels; nnU-Net plans its own.
        seed: Seed of the training.
        options: For ours, overrides of `segment train`.
        memory_gb: For nnU-Net, the memory of the GPU that it shall plan for.
        lr: For MONAI, the first learning rate.
    """

    contender: str
    folder: Path
    data: Path
    minutes: tuple[float, ...]
    threads: int
    spacing_mm: float
    patch: int
    seed: int
    options: tuple[str, ...]
    memory_gb: float
    lr: float

    @property
    def file(self) -> Path:
        """The file that hands the job to the contender's process."""
        return self.folder / "job.json"

    @property
    def marks(self) -> Path:
        """The file with minutes and steps of the marks that have passed, by the name of the mark."""
        return self.folder / "marks.json"

    def checkpoint(self, minutes: float) -> Path:
        """File of the weights at a mark."""
        return self.folder / f"at_{minutes:g}.ckpt"

    def passed(self) -> dict[str, dict[str, float]]:
        """Content of `marks`."""
        return json.loads(self.marks.read_text(encoding="utf-8")) if self.marks.exists() else {}

    @property
    def done(self) -> bool:
        """Whether the training has reached the last mark."""
        return f"{self.minutes[-1]:g}" in self.passed()

    def write(self) -> None:
        """Write `file`."""
        content = {key: str(value) if isinstance(value, Path) else value for key, value in asdict(self).items()}
        with atomic_write(self.file) as temporary:
            temporary.write_text(json.dumps(content, indent=2), encoding="utf-8")


def read_job(path: str | Path) -> Job:
    """Read the file of a job."""
    content = json.loads(Path(path).read_text(encoding="utf-8"))
    paths = {name: Path(content[name]) for name in ("folder", "data")}
    tuples = {name: tuple(content[name]) for name in ("minutes", "options")}
    return Job(**{**content, **paths, **tuples})


class Clock:
    """Processor time of this process and of all its children since its start.

    It includes imports, planning, preprocessing and the loader's workers, which is what a user waits for. Other load on
    the machine changes it little. N threads that are always busy use N processor minutes a minute.

    Args:
        job: The contender's job.
    """

    def __init__(self, job: Job) -> None:
        self.job = job
        self.process = psutil.Process()
        self.left = list(job.minutes)
        self.saved: dict[str, dict[str, float]] = {}
        self.now, self.looked_at = 0.0, -math.inf

    def minutes(self) -> float:
        """Processor minutes up to half a second ago; the system lists all processes at every look."""
        if time.monotonic() - self.looked_at > 0.5:
            self.now, self.looked_at = self._look(), time.monotonic()
        return self.now

    def _look(self) -> float:
        seconds = 0.0
        for process in (self.process, *self.process.children(recursive=True)):
            try:
                times = process.cpu_times()
            except psutil.NoSuchProcess:  # its time is now among that of its parent's children
                continue
            seconds += times.user + times.system + times.children_user + times.children_system
        return seconds / 60

    def share(self) -> float:
        """Share of the time that has passed, 0 to 1."""
        return min(1.0, self.minutes() / self.job.minutes[-1])

    def save_if_due(self, steps: int, save: Callable[[Path], object]) -> bool:
        """Save the weights for all marks that have passed since the last call.

        Args:
            steps: Optimizer steps so far.
            save: Writes the weights to a file.

        Returns:
            Whether the last mark has passed.
        """
        now = self.minutes()
        while self.left and now >= self.left[0]:
            mark = self.left.pop(0)
            save(self.job.checkpoint(mark))
            wall = (time.time() - self.process.create_time()) / 60
            self.saved[f"{mark:g}"] = {"cpu_minutes": now, "wall_minutes": wall, "steps": steps}
            with atomic_write(self.job.marks) as temporary:
                temporary.write_text(json.dumps(self.saved, indent=2), encoding="utf-8")
        return not self.left


def run_on_cores(command: Sequence[str], threads: int, log: Path) -> int:
    """Run a command with as many cores as threads and without a GPU.

    Args:
        command: Program and arguments; it can import the modules of this folder.
        threads: Number of threads.
        log: File for its output.

    Returns:
        The exit code.
    """
    environment = os.environ | {"OMP_NUM_THREADS": str(threads), "MKL_NUM_THREADS": str(threads)}
    environment |= {"OMP_WAIT_POLICY": "passive", "CUDA_VISIBLE_DEVICES": ""}
    here = str(Path(__file__).parent)
    environment["PYTHONPATH"] = os.pathsep.join([here, os.environ.get("PYTHONPATH", "")])
    cores = sorted(os.sched_getaffinity(0))
    os.sched_setaffinity(0, cores[:threads])  # the child inherits it
    try:
        with log.open("w", encoding="utf-8") as file:
            done = subprocess.run(command, stdout=file, stderr=subprocess.STDOUT, env=environment, check=False)
    finally:
        os.sched_setaffinity(0, cores)
    return done.returncode


def cosine(first: float, share: float, warmup: float = 0.0) -> float:
    """Learning rate after a share of the time: linear to `first` in the share `warmup`, then a cosine to 0."""
    if share < warmup:
        return first * share / warmup
    return first * 0.5 * (1 + math.cos(math.pi * (share - warmup) / (1 - warmup)))
