"""Rank and world size of a process, and runs of two processes started by torchrun and submitit."""

import csv
import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
import run_commands
import torch
from hydra.types import RunMode
from lightning_fabric.plugins.environments.lightning import LightningEnvironment
from omegaconf import OmegaConf

from segment.errors import UserError
from segment.run import processes
from segment.run.processes import RankInfo, rank_info

TORCHRUN = {"TORCHELASTIC_RUN_ID": "none", "RANK": "3", "WORLD_SIZE": "4", "LOCAL_RANK": "1", "GROUP_RANK": "1"}
TORCHRUN |= {"MASTER_ADDR": "node1", "MASTER_PORT": "29500", "TORCHELASTIC_RESTART_COUNT": "2"}
# The variables that `srun` sets for 2 tasks on each of 2 machines.
SRUN = {"SLURM_JOB_ID": "17", "SLURM_STEP_ID": "0", "SLURM_STEP_NUM_TASKS": "4", "SLURM_STEP_NUM_NODES": "2"}
SRUN |= {"SLURM_PROCID": "3", "SLURM_LOCALID": "1", "SLURM_NODEID": "1", "SLURM_STEP_NODELIST": "gpu[07-08]"}
SUBMITIT = {"SUBMITIT_LOCAL_JOB_ID": "4242", "SUBMITIT_LOCAL_NTASKS": "2", "SUBMITIT_LOCAL_GLOBALID": "1"}
SUBMITIT |= {"SUBMITIT_LOCAL_LOCALID": "1", "SUBMITIT_LOCAL_NODEID": "0"}


@pytest.fixture(autouse=True)
def _alone(monkeypatch):
    for name in {*os.environ} & {*TORCHRUN, *SRUN, *SUBMITIT}:
        monkeypatch.delenv(name)


def put(monkeypatch, variables):
    for name, value in variables.items():
        monkeypatch.setenv(name, value)


@pytest.mark.parametrize(
    ("variables", "expected"),
    [
        (TORCHRUN, RankInfo(3, 4, 1, 1, "node1", 29500, "2")),
        (SRUN | {"MASTER_PORT": "5555"}, RankInfo(3, 4, 1, 1, "gpu07", 5555)),
        (SRUN | {"SLURM_STEP_NUM_NODES": "1", "MASTER_PORT": "5555"}, RankInfo(3, 4, 1, 1, "127.0.0.1", 5555)),
    ],
)
def test_ranks_are_read_from_the_launchers_variables(monkeypatch, variables, expected):
    put(monkeypatch, variables)
    assert rank_info() == expected
    assert not processes.is_rank_zero()


def test_ports_differ_between_jobs_and_steps_but_not_within_one(monkeypatch):
    ports = set()
    for job, step in (("17", "0"), ("17", "1"), ("18", "0")):
        put(monkeypatch, SRUN | {"SLURM_JOB_ID": job, "SLURM_STEP_ID": step})
        port = rank_info().port
        monkeypatch.setenv("SLURM_PROCID", "0")
        assert rank_info().port == port
        ports.add(port)
    assert len(ports) == 3
    assert all(port in processes.PORTS for port in ports)


def test_submitit_tasks_are_on_this_machine(monkeypatch):
    put(monkeypatch, SUBMITIT)
    info = rank_info()
    assert (info.rank, info.world_size, info.local_rank, info.address) == (1, 2, 1, "127.0.0.1")


@pytest.mark.parametrize(
    "variables",
    [
        {},
        {"LOCAL_RANK": "1"},  # started by Lightning
        {"SLURM_JOB_ID": "17", "SLURM_NTASKS": "2", "SLURM_PROCID": "0", "SLURM_NODEID": "0"},  # a batch script
        SRUN | {"SLURM_STEP_NUM_TASKS": "1", "SLURM_NTASKS": "2", "SLURM_PROCID": "0"},
        SRUN | {"SLURM_PTY_PORT": "40001", "SLURM_PROCID": "0"},  # a shell by srun --pty
    ],
)
def test_lightning_starts_the_processes_of_a_single_command_or_a_shell_in_a_job(monkeypatch, variables):
    put(monkeypatch, variables)
    assert rank_info() is None
    assert isinstance(processes.cluster_environment(), LightningEnvironment)
    assert processes.is_rank_zero() == ("LOCAL_RANK" not in variables)


def test_lightning_gets_the_ranks_of_started_processes(monkeypatch):
    put(monkeypatch, SRUN)
    environment = processes.cluster_environment()
    assert (environment.global_rank(), environment.world_size(), environment.local_rank(), environment.node_rank()) == (
        3,
        4,
        1,
        1,
    )
    assert (environment.main_address, environment.creates_processes_externally) == ("gpu07", True)


def test_wrong_number_of_processes_is_refused(monkeypatch):
    put(monkeypatch, SRUN)
    processes.check_world_size(SimpleNamespace(num_devices=2, num_nodes=2))
    with pytest.raises(UserError, match=r"4 processes were started, but trainer.devices=1 and trainer.num_nodes=1"):
        processes.check_world_size(SimpleNamespace(num_devices=1, num_nodes=1))


@pytest.mark.parametrize("devices", [1, "1", [0], [3]])
def test_a_sweep_may_run_on_any_single_device(monkeypatch, devices):
    sweep = SimpleNamespace(mode=RunMode.MULTIRUN)
    monkeypatch.setattr(processes, "HydraConfig", SimpleNamespace(initialized=lambda: True, get=lambda: sweep))
    processes.refuse_parallel_sweep(OmegaConf.create({"devices": devices}))
    for several in (2, [0, 1], -1, "auto"):
        with pytest.raises(UserError, match="needs several processes for each job of a sweep"):
            processes.refuse_parallel_sweep(OmegaConf.create({"devices": several}))


@pytest.mark.parametrize("variables", [TORCHRUN, SRUN, SUBMITIT])
def test_without_launcher_variables_a_process_is_alone(monkeypatch, variables):
    put(monkeypatch, variables)
    processes.clear_launcher_variables()
    assert rank_info() is None
    assert processes.is_rank_zero()


TINY = ["experiment=smoke", "data.patches_per_epoch=8", "callbacks.progress=null", "callbacks.cases.overlay=false"]
# With a loss that is the mean over samples, and SGD: Adam would turn rounding errors of gradients that are zero (e.g.
# of biases before a normalisation) into whole steps.
TINY += ["model.criterion.batch=false", "preflight=false", "page=false", "callbacks.validation.overlay=false"]
TINY += ["optimizer._target_=torch.optim.SGD", "optimizer.lr=0.1", "+optimizer.momentum=0.9"]
TWO = ["trainer=ddp", "trainer.accelerator=cpu", "data.batch_size=1"]


@pytest.fixture(scope="module")
def environment(smoke_cache):
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("WANDB", "HYDRA"))}
    return kept | {"SEGMENT_CACHE": str(smoke_cache), "OMP_NUM_THREADS": "1"}


@pytest.fixture(scope="module")
def by_torchrun(tmp_path_factory, environment) -> Path:
    """A run of two processes in a timestamped folder; its output is in printed.txt."""
    folder = tmp_path_factory.mktemp("torchrun")
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2", "-m"]
    done = run([*torchrun, "segment.commands.train", *TINY, *TWO], environment, folder)
    (config,) = folder.glob("outputs/smoke/*/config.yaml")
    (folder / "printed.txt").write_text(done)
    assert [path.name for path in (folder / "outputs" / "smoke").iterdir()] == [config.parent.name]
    return config.parent


def run(call, environment, folder) -> str:
    done = subprocess.run(call, env=environment, cwd=folder, capture_output=True, text=True, timeout=600, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout + done.stderr


def scalars(folder: Path) -> list[dict[str, str]]:
    with (folder / "metrics.csv").open() as file:
        return [{key: float(value) for key, value in row.items() if value} for row in csv.DictReader(file)]


@pytest.mark.slow
@pytest.mark.xdist_group("ddp")
def test_two_processes_by_torchrun_make_one_run(by_torchrun):
    printed = (by_torchrun.parents[2] / "printed.txt").read_text()
    assert printed.count("test cases, means over patients") == 1
    assert printed.count("run folder: ") == 2  # at the start and at the end
    assert len(list((by_torchrun / "wandb").glob("offline-run-*"))) == 1
    lines = (by_torchrun / "train.log").read_text().splitlines()
    assert len(lines) == len({line[24:] for line in lines})  # no line is logged twice


@pytest.mark.slow
@pytest.mark.xdist_group("ddp")
def test_two_processes_equal_one_with_twice_the_batch(by_torchrun, environment, tmp_path):
    """Up to 1e-5 in weights, losses and scores."""
    single = [*TINY, "data.batch_size=2", "hydra.run.dir=one"]
    done = run_commands.run("train", *single, env=environment, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    one, two = (
        torch.load(folder / "checkpoints" / "last.ckpt", weights_only=True)["state_dict"]
        for folder in (tmp_path / "one", by_torchrun)
    )
    torch.testing.assert_close(one, two, rtol=0, atol=1e-5)
    rows = scalars(tmp_path / "one"), scalars(by_torchrun)
    assert [sorted(row) for row in rows[0]] == [sorted(row) for row in rows[1]]
    for single, pair in zip(*rows, strict=True):
        for row in (single, pair):
            row.pop("train/loss_step", None)  # rank 0 logs the loss of its share of the batch
        assert single == pytest.approx(pair, abs=1e-5, nan_ok=True)
    assert {"train/loss", "val/loss", "val/dice/mean", "test/dice/mean"} <= {key for row in rows[0] for key in row}


@pytest.mark.slow
@pytest.mark.xdist_group("ddp")
def test_sweep_of_ddp_jobs_runs_with_one_submitit_task_per_process(by_torchrun, environment, tmp_path):
    launcher = ["hydra/launcher=submitit_local", "hydra.launcher.tasks_per_node=2", "hydra.sweep.dir=sweep"]
    command = [sys.executable, "-m", "segment.commands.train", "-m", *TINY, *TWO, *launcher, "seed=0", "page=true"]
    run(command, environment, tmp_path)
    written = sorted(path.name for path in (tmp_path / "sweep").iterdir())
    assert written == [".submitit", "0", "index.html", "multirun.yaml"]
    job = tmp_path / "sweep" / "0"
    assert (job / "metrics.csv").read_text() == (by_torchrun / "metrics.csv").read_text()
    assert len(list((job / "wandb").glob("offline-run-*"))) == 1
