"""Rank and world size of this process when srun, torchrun or submitit started several processes for one run."""

import os
import zlib
from collections.abc import Sequence
from dataclasses import dataclass

import pytorch_lightning as pl
from hydra.core.hydra_config import HydraConfig
from hydra.types import RunMode
from lightning_fabric.plugins.environments.cluster_environment import ClusterEnvironment
from lightning_fabric.plugins.environments.lightning import LightningEnvironment
from lightning_fabric.plugins.environments.slurm import SLURMEnvironment
from omegaconf import DictConfig, ListConfig

from segment.errors import UserError

PORTS = range(12000, 32000)  # below the ports that Linux assigns by itself


@dataclass(frozen=True)
class RankInfo:
    """Rank, world size and address of one of several processes that were started together.

    Attributes:
        rank: Number of the process, from 0.
        world_size: Number of processes.
        local_rank: Number of the process on its machine, from 0.
        node_rank: Number of its machine, from 0.
        address: Host name or IP address of the machine of rank 0.
        port: Port on which rank 0, or torchrun, listens there.
        attempt: How many times the processes were restarted.
    """

    rank: int
    world_size: int
    local_rank: int
    node_rank: int
    address: str
    port: int
    attempt: str = "0"


def rank_info() -> RankInfo | None:
    """Rank and world size as the launcher states them in environment variables.

    None when this process was started alone, or by Lightning, which numbers its processes itself. A shell opened by
    `srun --pty` and the batch script of a job with several tasks count as started alone.
    """
    env = os.environ
    if "TORCHELASTIC_RUN_ID" in env:
        attempt = env.get("TORCHELASTIC_RESTART_COUNT", "0")
        names = ["RANK", "WORLD_SIZE", "LOCAL_RANK", "GROUP_RANK"]
        return _read_ranks(names, env["MASTER_ADDR"], int(env["MASTER_PORT"]), attempt)
    if int(env.get("SUBMITIT_LOCAL_NTASKS", 1)) > 1:
        names = [f"SUBMITIT_LOCAL_{name}" for name in ("GLOBALID", "NTASKS", "LOCALID", "NODEID")]
        return _read_ranks(names, "127.0.0.1", _port(env["SUBMITIT_LOCAL_JOB_ID"]))
    if int(env.get("SLURM_STEP_NUM_TASKS", 1)) > 1 and "SLURM_PTY_PORT" not in env:
        names = [f"SLURM_{name}" for name in ("PROCID", "STEP_NUM_TASKS", "LOCALID", "NODEID")]
        one_machine = env.get("SLURM_STEP_NUM_NODES", "1") == "1"
        first = "127.0.0.1" if one_machine else SLURMEnvironment.resolve_root_node_address(env["SLURM_STEP_NODELIST"])
        port = _port(f"{env['SLURM_JOB_ID']}.{env['SLURM_STEP_ID']}")
        return _read_ranks(names, env.get("MASTER_ADDR", first), int(env.get("MASTER_PORT", port)))
    return None


def _read_ranks(names: Sequence[str], address: str, port: int, attempt: str = "0") -> RankInfo:
    rank, world_size, local_rank, node_rank = (int(os.environ[name]) for name in names)
    return RankInfo(rank, world_size, local_rank, node_rank, address, port, attempt)


def _port(job: str) -> int:
    """Port number computed from the job id: equal for all processes of a job, different for most other jobs."""
    return PORTS[zlib.crc32(job.encode()) % len(PORTS)]


def is_rank_zero() -> bool:
    """Whether this is rank 0 or the only process; only this one logs and writes records."""
    info = rank_info()
    if info is not None:
        return info.rank == 0
    return int(os.environ.get("LOCAL_RANK", 0)) == 0


def cluster_environment() -> ClusterEnvironment:
    """Lightning plugin with the ranks of `rank_info`.

    Lightning's own detection would take any shell inside a SLURM job for a process of the run.
    """
    info = rank_info()
    return LightningEnvironment() if info is None else LaunchedEnvironment(info)


class LaunchedEnvironment(ClusterEnvironment):
    """Environment of processes that a launcher has started; without Lightning's signal handlers for SLURM."""

    creates_processes_externally = True
    main_address = ""  # these two are properties in the parent class
    main_port = 0

    def __init__(self, info: RankInfo) -> None:
        self.info = info
        self.main_address = info.address
        self.main_port = info.port

    @staticmethod
    def detect() -> bool:
        """Whether a launcher started several processes."""
        return rank_info() is not None

    def world_size(self) -> int:
        """Number of processes."""
        return self.info.world_size

    def set_world_size(self, size: int) -> None:
        """Do nothing: the launcher decides."""

    def global_rank(self) -> int:
        """Number of this process, from 0."""
        return self.info.rank

    def set_global_rank(self, rank: int) -> None:
        """Do nothing: the launcher decides."""

    def local_rank(self) -> int:
        """Number of this process on its machine, from 0."""
        return self.info.local_rank

    def node_rank(self) -> int:
        """Number of this machine, from 0."""
        return self.info.node_rank


def check_world_size(trainer: pl.Trainer) -> None:
    """Check that as many processes were started as are configured.

    Raises:
        UserError: When the numbers differ.
    """
    info, configured = rank_info(), trainer.num_devices * trainer.num_nodes
    if info is not None and info.world_size != configured:
        msg = (
            f"{info.world_size} processes were started, but trainer.devices={trainer.num_devices} and "
            f"trainer.num_nodes={trainer.num_nodes} mean {configured}; make them equal (trainer=ddp trainer.devices=…, "
            "or srun --ntasks-per-node=…)"
        )
        raise UserError(msg)


def refuse_parallel_sweep(trainer: DictConfig) -> None:
    """Refuse several devices in a sweep that runs in one process.

    Each process that Lightning starts for a job would run the whole sweep again (hydra #2070).

    Raises:
        UserError: When there are several devices; the message names launchers to use.
    """
    if HydraConfig.initialized() and HydraConfig.get().mode == RunMode.MULTIRUN and rank_info() is None:
        devices = trainer.get("devices", 1)
        is_one = devices in (1, "1") or (isinstance(devices, ListConfig | list) and len(devices) == 1)
        if not is_one:
            msg = (
                f"trainer.devices={devices} needs several processes for each job of a sweep, so it needs a launcher; "
                "add hydra/launcher=slurm on a cluster, or hydra/launcher=submitit_local "
                f"hydra.launcher.tasks_per_node={devices} on one machine"
            )
            raise UserError(msg)


def clear_launcher_variables() -> None:
    """Remove the launcher's environment variables: this process and its children then count as started alone."""
    for name in ("TORCHELASTIC_RUN_ID", "RANK", "LOCAL_RANK", "SUBMITIT_LOCAL_NTASKS", "SLURM_STEP_NUM_TASKS"):
        os.environ.pop(name, None)
    if "SLURM_PROCID" in os.environ:
        os.environ["SLURM_PROCID"] = "0"  # Lightning reads this one, too
