"""Sweeps, DDP and requeued jobs on a real SLURM, started for these tests; see `cluster`."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from cluster import Cluster, wait

pytestmark = [pytest.mark.slurm, pytest.mark.xdist_group("slurm")]

TINY = ["experiment=smoke", "data.batch_size=1", "trainer.max_epochs=3", "data.patches_per_epoch=16"]
TINY += ["callbacks.progress=null", "callbacks.cases.overlay=false", "callbacks.interrupt.minutes=0", "preflight=false"]
DDP = ["trainer=ddp", "trainer.accelerator=cpu"]
LIMIT_S = 400


@pytest.fixture(scope="module")
def environment(slurm: Cluster, tmp_path_factory) -> dict[str, str]:
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("WANDB", "HYDRA", "SLURM"))}
    kept |= {"SEGMENT_CACHE": str(tmp_path_factory.mktemp("cache")), "OMP_NUM_THREADS": "1", "WANDB_MODE": "offline"}
    return kept | slurm.environment


@pytest.fixture(scope="module")
def place(tmp_path_factory) -> Path:
    """The directory in which everything is run."""
    return tmp_path_factory.mktemp("place")


@pytest.fixture(scope="module")
def command(environment, place) -> Iterator[Any]:
    """Starts `segment train`; what still runs at the end is ended."""
    started = []

    def start(*overrides: str) -> subprocess.Popen[str]:
        call = [sys.executable, "-m", "segment.train", *TINY, *overrides]
        # A file, not a pipe: nobody reads while a sweep waits for its jobs.
        output = place / f"command{len(started)}.txt"
        with output.open("w") as file:
            process = subprocess.Popen(
                call, env=environment, cwd=place, stdout=file, stderr=subprocess.STDOUT, text=True
            )
        process.output = output
        started.append(process)
        return process

    yield start
    for process in started:
        process.kill()
        process.wait()


def finished(process: subprocess.Popen[str]) -> str:
    """What a command that must succeed has printed."""
    code = process.wait(LIMIT_S)
    assert code == 0, process.output.read_text()
    return process.output.read_text()


@pytest.fixture(scope="module")
def reference(command, place) -> Path:
    """The run of seed 0, which nothing stopped."""
    finished(command("seed=0", "hydra.run.dir=reference"))
    return place / "reference"


def wait_for(path: Path, seconds: float = LIMIT_S) -> None:
    wait(path.exists, seconds, f"no {path}")


def state(job: str, cluster: Cluster) -> str:
    return cluster.jobs()[job]


def differences(one: Path, other: Path) -> list[str]:
    """What two runs have not in common, bit by bit."""
    tables = [name for name in ("metrics.csv", "cases.csv") if (one / name).read_text() != (other / name).read_text()]
    mine, theirs = (torch.load(run / "checkpoints" / "last.ckpt", weights_only=True) for run in (one, other))
    keys = ("state_dict", "optimizer_states", "lr_schedulers", "epoch", "global_step", "losses")
    return [*tables, *(path for key in keys for path in _unequal(mine[key], theirs[key], key))]


def _unequal(one: Any, other: Any, name: str) -> list[str]:
    if isinstance(one, torch.Tensor):
        return [] if torch.equal(one, other) else [name]
    if isinstance(one, dict):
        return [] if one.keys() == other.keys() and not [k for k in one if _unequal(one[k], other[k], "")] else [name]
    if isinstance(one, list):
        return [
            path
            for index, pair in enumerate(zip(one, other, strict=True))
            for path in _unequal(*pair, f"{name}/{index}")
        ]
    return [] if one == other else [name]


def facts(run: Path) -> dict[str, Any]:
    return json.loads((run / "environment.json").read_text())


def test_of_a_sweep_one_job_is_requeued_one_is_cancelled_and_one_just_ends(slurm, command, place, reference):
    sweep = command("-m", "seed=0,1,2", "hydra/launcher=slurm", "hydra.sweep.dir=sweep", "data.num_workers=1")
    runs = [place / "sweep" / str(number) for number in range(3)]
    for run in runs[:2]:
        wait_for(run / "checkpoints" / "last.ckpt")
    array = sorted(slurm.jobs())[0].split("_")[0]
    slurm.run("scancel", "--signal=USR2", f"{array}_0")  # as SLURM does before the time limit
    slurm.run("scancel", f"{array}_1")
    wait(lambda: "resumed" in facts(runs[0]), LIMIT_S, "the job does not come back")
    for run in (runs[0], runs[2]):
        wait_for(run / "cases.csv")
    wait(lambda: state(f"{array}_0", slurm) == state(f"{array}_2", slurm) == "COMPLETED", 60, "jobs do not end")
    assert state(f"{array}_1", slurm) == "CANCELLED"
    assert sweep.poll() is None  # it waits for the accounting to tell of the job that was cancelled
    # The launcher's own messages beside the run are as it goes; the run itself is as if nothing had happened.
    (resumed,) = facts(runs[0])["resumed"]
    assert resumed["slurm_job"] == facts(runs[0])["slurm_job"] != facts(runs[2])["slurm_job"]
    assert differences(runs[0], reference) == []
    assert len(list((runs[0] / "wandb").glob("offline-run-*"))) == 2
    assert len({path.name.split("-")[-1] for path in (runs[0] / "wandb").glob("offline-run-*")}) == 1
    # The cancelled one had saved its step, and goes on without SLURM.
    assert not (runs[1] / "cases.csv").exists()
    finished(command("seed=1", "hydra.run.dir=sweep/1", "resume=true", "data.num_workers=1"))
    finished(command("seed=1", "hydra.run.dir=whole", "data.num_workers=1"))
    assert differences(runs[1], place / "whole") == []
