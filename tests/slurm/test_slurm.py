"""Sweeps, DDP and requeued jobs on a real SLURM that the tests start; see `cluster`."""

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

TINY = ["experiment=smoke", "page=false", "data.batch_size=1", "trainer.max_epochs=3", "data.patches_per_epoch=16"]
TINY += ["callbacks.progress=null", "callbacks.cases.overlay=false", "callbacks.interrupt.minutes=0", "preflight=false"]
TINY += ["callbacks.validation.overlay=false"]
DDP = ["trainer=ddp", "trainer.accelerator=cpu"]
LAUNCHER = ["hydra/launcher=slurm", "hydra.launcher.timeout_min=20"]
LIMIT_S = 400
PAGE = (Path(__file__).parents[2] / "docs" / "clusters.md").read_text()
BLOCKS = re.findall(r"```sh\n(.*?)```", PAGE, re.DOTALL)


@pytest.fixture(scope="module")
def environment(slurm: Cluster, smoke_cache) -> dict[str, str]:
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("WANDB", "HYDRA", "SLURM"))}
    kept |= {"SEGMENT_CACHE": str(smoke_cache), "OMP_NUM_THREADS": "1", "WANDB_MODE": "offline"}
    return kept | slurm.environment


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    """The current folder of all commands."""
    return tmp_path_factory.mktemp("work")


@pytest.fixture(scope="module")
def command(environment, folder) -> Iterator[Any]:
    """Starts `segment train`; kills what is still running at the end."""
    started = []

    def start(*overrides: str) -> subprocess.Popen[str]:
        call = [sys.executable, "-m", "segment.commands.train", *TINY, *overrides]
        # A file, not a pipe: a full pipe would block a sweep, because the test reads only at the end.
        output = folder / f"command{len(started)}.txt"
        with output.open("w") as file:
            process = subprocess.Popen(
                call, env=environment, cwd=folder, stdout=file, stderr=subprocess.STDOUT, text=True
            )
        process.output = output
        started.append(process)
        return process

    yield start
    for process in started:
        process.kill()
        process.wait()


def finished(process: subprocess.Popen[str]) -> str:
    """Wait for a command that must succeed, and return its output."""
    code = process.wait(LIMIT_S)
    assert code == 0, process.output.read_text()
    return process.output.read_text()


@pytest.fixture(scope="module")
def reference(command, folder) -> Path:
    """An undisturbed run with seed 0."""
    finished(command("seed=0", "hydra.run.dir=reference"))
    return folder / "reference"


def wait_for(path: Path, seconds: float = LIMIT_S) -> None:
    wait(path.exists, seconds, f"no {path}")


def state(job: str, cluster: Cluster) -> str:
    return cluster.jobs()[job]


def differences(one: Path, other: Path) -> list[str]:
    """Names of tables and values in which two runs are not equal bit for bit."""
    tables = [name for name in ("metrics.csv", "cases.csv") if (one / name).read_text() != (other / name).read_text()]
    first, second = (torch.load(run / "checkpoints" / "last.ckpt", weights_only=True) for run in (one, other))
    keys = ("state_dict", "optimizer_states", "lr_schedulers", "epoch", "global_step", "losses")
    return [*tables, *(path for key in keys for path in _unequal(first[key], second[key], key))]


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


def test_sweep_with_a_requeued_a_cancelled_and_a_finished_job(slurm, command, folder, reference):
    # The second job is long: a cancelled job continues until SLURM kills it.
    sweep = command("-m", "trainer.max_epochs=3,99,2", *LAUNCHER, "hydra.sweep.dir=sweep", "data.num_workers=1")
    runs = [folder / "sweep" / str(number) for number in range(3)]
    wait_for(runs[0] / "checkpoints" / "last.ckpt")
    array = sorted(slurm.jobs())[0].split("_")[0]
    slurm.run("scancel", "--signal=USR2", f"{array}_0")  # SLURM sends it before the time limit
    wait_for(runs[1] / "checkpoints" / "last.ckpt")
    slurm.run("scancel", f"{array}_1")
    wait(lambda: "resumed" in facts(runs[0]), LIMIT_S, "the job does not resume")
    for run in (runs[0], runs[2]):
        wait_for(run / "cases.csv")
    wait(lambda: state(f"{array}_0", slurm) == state(f"{array}_2", slurm) == "COMPLETED", 60, "jobs do not end")
    wait(lambda: state(f"{array}_1", slurm) == "CANCELLED", 60, "the job is not cancelled")
    assert sweep.poll() is None  # it waits until the accounting lists the cancelled job
    # The requeued job equals the undisturbed run.
    (resumed,) = facts(runs[0])["resumed"]
    assert resumed["slurm_job"] == facts(runs[0])["slurm_job"] != facts(runs[2])["slurm_job"]
    assert differences(runs[0], reference) == []
    assert len({path.name.split("-")[-1] for path in (runs[0] / "wandb").glob("offline-run-*")}) == 1
    # The cancelled job has saved its step, and can be resumed without SLURM.
    stopped_at = steps(runs[1])
    again = command("trainer.max_epochs=99", "hydra.run.dir=sweep/1", "resume=true", "data.num_workers=1")
    wait(lambda: steps(runs[1]) > stopped_at, LIMIT_S, "the run does not continue")
    again.terminate()
    assert again.wait(LIMIT_S) == 143
    assert "resuming from its last checkpoint" in again.output.read_text()


def test_requeued_ddp_job_equals_a_run_started_by_lightning(slurm, command, folder):
    sweep = command("-m", *DDP, "seed=0", *LAUNCHER, "hydra.sweep.dir=ddp")
    run = folder / "ddp" / "0"
    wait_for(run / "checkpoints" / "last.ckpt")
    (job,) = [job for job, state in slurm.jobs().items() if state == "RUNNING"]
    slurm.run("scancel", "--signal=USR2", job)
    alone = command(*DDP, "seed=0", "hydra.run.dir=ddp_reference")
    finished(sweep)
    finished(alone)
    assert len(facts(run)["resumed"]) == 1
    assert differences(run, folder / "ddp_reference") == []
    assert len({path.name.split("-")[-1] for path in (run / "wandb").glob("offline-run-*")}) == 1
    assert sorted(path.name for path in (folder / "ddp").iterdir()) == [".submitit", "0", "multirun.yaml"]
    # No file of the run names the machine; SLURM's own messages are in another folder.
    name = slurm.run("squeue", "-h", "-t", "all", "-j", job, "-o", "%N").strip()
    assert not [path for path in run.glob("*") if path.is_file() and f" on {name}" in path.read_text(errors="replace")]


def script(experiment: list[str]) -> str:
    """The batch script of docs/clusters.md for a node without GPUs."""
    (text,) = [block for block in BLOCKS if block.startswith("#!/bin/bash")]
    lines = [line for line in text.splitlines() if "--gpus" not in line]
    program = f"{sys.executable} -m segment.commands.train {' '.join(experiment)}"
    text, replaced = re.subn(r"segment train .*", lambda found: program, "\n".join(lines))
    assert replaced == 1
    return text + "\n"


def test_preempted_job_resumes_and_cancelled_job_does_not(slurm, environment, folder, reference):
    def submit(*options: str) -> str:
        return slurm.run("sbatch", "--parsable", f"--chdir={folder}", *options, environment=environment).strip()

    (folder / "train.sh").write_text(script([*TINY, "seed=0", "task=first"]))
    (folder / "other.sh").write_text(script([*TINY, "seed=1", "task=other"]))

    def has_checkpoint(task: str) -> bool:
        return any(folder.glob(f"outputs/{task}/*/checkpoints/last.ckpt"))

    job = submit("train.sh")
    wait(lambda: has_checkpoint("first"), LIMIT_S, "the first job does not start")
    urgent = submit("--partition=urgent", "--exclusive", "--wrap=true")
    other = submit("other.sh")
    wait(lambda: slurm.jobs()[urgent] == "COMPLETED", LIMIT_S, "no job was preempted")
    wait(lambda: has_checkpoint("other"), LIMIT_S, "the other job does not start")
    slurm.run("scancel", other)
    # A job that is requeued has a second, empty folder until it finds the first one.
    (run,) = {path.parents[1] for path in folder.glob("outputs/first/*/checkpoints/last.ckpt")}
    wait_for(run / "cases.csv")
    wait(lambda: slurm.jobs()[job] == "COMPLETED", LIMIT_S, "the job does not end")
    assert list(folder.glob("outputs/first/*")) == [run]
    assert [process["slurm_job"] for process in facts(run)["resumed"]] == [job]
    assert differences(run, reference) == []
    assert slurm.jobs()[other] == "CANCELLED"
    assert not list(folder.glob("outputs/other/*/cases.csv"))


def test_wrong_number_of_processes_is_refused(slurm, environment, folder):
    call = ["srun", "--ntasks=2", sys.executable, "-m", "segment.commands.train", *TINY, "hydra.run.dir=refused"]
    done = subprocess.run(
        call, env=environment, cwd=folder, capture_output=True, text=True, timeout=LIMIT_S, check=False
    )
    assert done.returncode == 2
    assert "error: 2 processes were started, but trainer.devices=1" in done.stderr
    assert "Traceback" not in done.stderr
