"""Sweeps, DDP and requeued jobs on a real SLURM, started for these tests; see `cluster`."""

import json
import os
import re
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
LAUNCHER = ["hydra/launcher=slurm", "hydra.launcher.timeout_min=20"]
LIMIT_S = 400
PAGE = (Path(__file__).parents[2] / "docs" / "clusters.md").read_text()
BLOCKS = re.findall(r"```sh\n(.*?)```", PAGE, re.DOTALL)


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
        call = [sys.executable, "-m", "segment.commands.train", *TINY, *overrides]
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


def steps(run: Path) -> int:
    return torch.load(run / "checkpoints" / "last.ckpt", weights_only=True)["global_step"]


def facts(run: Path) -> dict[str, Any]:
    return json.loads((run / "environment.json").read_text())


def test_of_a_sweep_one_job_is_requeued_one_is_cancelled_and_one_just_ends(slurm, command, place, reference):
    # The second would take minutes: a cancelled job goes on until SLURM kills it.
    sweep = command("-m", "trainer.max_epochs=3,99,2", *LAUNCHER, "hydra.sweep.dir=sweep", "data.num_workers=1")
    runs = [place / "sweep" / str(number) for number in range(3)]
    wait_for(runs[0] / "checkpoints" / "last.ckpt")
    array = sorted(slurm.jobs())[0].split("_")[0]
    slurm.run("scancel", "--signal=USR2", f"{array}_0")  # as SLURM does before the time limit
    wait_for(runs[1] / "checkpoints" / "last.ckpt")
    slurm.run("scancel", f"{array}_1")
    wait(lambda: "resumed" in facts(runs[0]), LIMIT_S, "the job does not come back")
    for run in (runs[0], runs[2]):
        wait_for(run / "cases.csv")
    wait(lambda: state(f"{array}_0", slurm) == state(f"{array}_2", slurm) == "COMPLETED", 60, "jobs do not end")
    wait(lambda: state(f"{array}_1", slurm) == "CANCELLED", 60, "the job is not cancelled")
    assert sweep.poll() is None  # it waits for the accounting to tell of the job that was cancelled
    # The requeued one is as if nothing had happened.
    (resumed,) = facts(runs[0])["resumed"]
    assert resumed["slurm_job"] == facts(runs[0])["slurm_job"] != facts(runs[2])["slurm_job"]
    assert differences(runs[0], reference) == []
    assert len({path.name.split("-")[-1] for path in (runs[0] / "wandb").glob("offline-run-*")}) == 1
    # The cancelled one had saved its step, and goes on without SLURM.
    stopped_at = steps(runs[1])
    again = command("trainer.max_epochs=99", "hydra.run.dir=sweep/1", "resume=true", "data.num_workers=1")
    wait(lambda: steps(runs[1]) > stopped_at, LIMIT_S, "it does not go on")
    again.terminate()
    assert again.wait(LIMIT_S) == 143
    assert "going on from its last checkpoint" in again.output.read_text()


def test_a_ddp_job_of_a_sweep_is_requeued_and_ends_as_one_that_lightning_started(slurm, command, place):
    sweep = command("-m", *DDP, "seed=0", *LAUNCHER, "hydra.sweep.dir=ddp")
    run = place / "ddp" / "0"
    wait_for(run / "checkpoints" / "last.ckpt")
    (job,) = [job for job, state in slurm.jobs().items() if state == "RUNNING"]
    slurm.run("scancel", "--signal=USR2", job)
    alone = command(*DDP, "seed=0", "hydra.run.dir=ddp_reference")
    finished(sweep)
    finished(alone)
    assert len(facts(run)["resumed"]) == 1
    assert differences(run, place / "ddp_reference") == []
    assert len({path.name.split("-")[-1] for path in (run / "wandb").glob("offline-run-*")}) == 1
    assert sorted(path.name for path in (place / "ddp").iterdir()) == [".submitit", "0", "multirun.yaml"]
    # What the run keeps does not name the machine; what SLURM's own messages say is beside it.
    name = slurm.run("squeue", "-h", "-t", "all", "-j", job, "-o", "%N").strip()
    assert not [path for path in run.glob("*") if path.is_file() and f" on {name}" in path.read_text(errors="replace")]


def script(experiment: list[str]) -> str:
    """The batch script of docs/clusters.md for a node without GPUs."""
    (text,) = [block for block in BLOCKS if block.startswith("#!/bin/bash")]
    lines = [line for line in text.splitlines() if "--gpus" not in line]
    program = f"{sys.executable} -m segment.commands.train {' '.join(experiment)}"
    return "\n".join(lines).replace("segment train experiment=abdomen", program) + "\n"


def test_a_pre_empted_job_goes_on_with_its_run_and_a_cancelled_one_stays_away(slurm, environment, place, reference):
    def submit(*options: str) -> str:
        return slurm.run("sbatch", "--parsable", f"--chdir={place}", *options, environment=environment).strip()

    (place / "train.sh").write_text(script([*TINY, "seed=0", "task=first"]))
    (place / "other.sh").write_text(script([*TINY, "seed=1", "task=other"]))

    def begun(task: str) -> bool:
        return any(place.glob(f"outputs/{task}/*/checkpoints/last.ckpt"))

    job = submit("train.sh")
    wait(lambda: begun("first"), LIMIT_S, "the first job does not begin")
    urgent = submit("--partition=urgent", "--exclusive", "--wrap=true")
    other = submit("other.sh")
    wait(lambda: slurm.jobs()[urgent] == "COMPLETED", LIMIT_S, "nothing was pre-empted")
    wait(lambda: begun("other"), LIMIT_S, "the other job does not begin")
    slurm.run("scancel", other)
    (run,) = place.glob("outputs/first/*")
    wait_for(run / "cases.csv")
    wait(lambda: slurm.jobs()[job] == "COMPLETED", LIMIT_S, "the job does not end")
    assert list(place.glob("outputs/first/*")) == [run]
    assert [process["slurm_job"] for process in facts(run)["resumed"]] == [job]
    assert differences(run, reference) == []
    assert slurm.jobs()[other] == "CANCELLED"
    assert not list(place.glob("outputs/other/*/cases.csv"))


def test_processes_that_are_not_the_devices_are_refused(slurm, environment, place):
    call = ["srun", "--ntasks=2", sys.executable, "-m", "segment.commands.train", *TINY, "hydra.run.dir=refused"]
    done = subprocess.run(
        call, env=environment, cwd=place, capture_output=True, text=True, timeout=LIMIT_S, check=False
    )
    assert done.returncode == 2
    assert "error: 2 processes were started, but trainer.devices=1" in done.stderr
    assert "Traceback" not in done.stderr
