"""The processes of one run that srun, torchrun or submitit started: which of them this is."""

import os
import zlib
from collections.abc import Sequence
from dataclasses import dataclass

import pytorch_lightning as pl
from lightning_fabric.plugins.environments.cluster_environment import ClusterEnvironment
from lightning_fabric.plugins.environments.lightning import LightningEnvironment
from lightning_fabric.plugins.environments.slurm import SLURMEnvironment

from segment.errors import UserError

PORTS = range(12000, 32000)  # below those that Linux gives out by itself


@dataclass(frozen=True)
class Place:
    """One of several processes that were started together.

    Attributes:
        rank: Number of the process, from 0.
        world_size: How many there are.
        local_rank: Number among those of its machine.
        node_rank: Number of its machine.
        address: Machine of process 0.
        port: Where process 0, or torchrun, answers there.
        attempt: How often the processes were started before.
    """

    rank: int
    world_size: int
    local_rank: int
    node_rank: int
    address: str
    port: int
    attempt: str = "0"


def place() -> Place | None:
    """This process's place; None when it was started alone, or by Lightning, which then numbers its processes itself.

    A shell that `srun --pty` opened and a batch script of several tasks are not processes of a run.
    """
    env = os.environ
    if "TORCHELASTIC_RUN_ID" in env:
        attempt = env.get("TORCHELASTIC_RESTART_COUNT", "0")
        names = ["RANK", "WORLD_SIZE", "LOCAL_RANK", "GROUP_RANK"]
        return _place(names, env["MASTER_ADDR"], int(env["MASTER_PORT"]), attempt)
    if int(env.get("SUBMITIT_LOCAL_NTASKS", 1)) > 1:
        names = [f"SUBMITIT_LOCAL_{name}" for name in ("GLOBALID", "NTASKS", "LOCALID", "NODEID")]
        return _place(names, "127.0.0.1", _port(env["SUBMITIT_LOCAL_JOB_ID"]))
    if int(env.get("SLURM_STEP_NUM_TASKS", 1)) > 1 and "SLURM_PTY_PORT" not in env:
        names = [f"SLURM_{name}" for name in ("PROCID", "STEP_NUM_TASKS", "LOCALID", "NODEID")]
        alone = env.get("SLURM_STEP_NUM_NODES", "1") == "1"
        first = "127.0.0.1" if alone else SLURMEnvironment.resolve_root_node_address(env["SLURM_STEP_NODELIST"])
        port = _port(f"{env['SLURM_JOB_ID']}.{env['SLURM_STEP_ID']}")
        return _place(names, env.get("MASTER_ADDR", first), int(env.get("MASTER_PORT", port)))
    return None


def _place(names: Sequence[str], address: str, port: int, attempt: str = "0") -> Place:
    rank, world_size, local_rank, node_rank = (int(os.environ[name]) for name in names)
    return Place(rank, world_size, local_rank, node_rank, address, port, attempt)


def _port(job: str) -> int:
    """The same for all processes of a job, another for other jobs."""
    return PORTS[zlib.crc32(job.encode()) % len(PORTS)]


def is_first() -> bool:
    """Whether this process speaks for the run: process 0, or the only one."""
    here = place()
    return here.rank == 0 if here else int(os.environ.get("LOCAL_RANK", 0)) == 0


def cluster_environment() -> ClusterEnvironment:
    """What tells Lightning of the processes. Its own guess would take any shell inside a SLURM job for one of them."""
    here = place()
    return Started(here) if here else LightningEnvironment()


class Started(ClusterEnvironment):
    """Processes that are there already. Lightning's signal handlers for SLURM are not wanted and not installed."""

    creates_processes_externally = True
    main_address = ""  # properties of the parent
    main_port = 0

    def __init__(self, here: Place) -> None:
        self.here = here
        self.main_address = here.address
        self.main_port = here.port

    @staticmethod
    def detect() -> bool:
        """Whether several processes were started."""
        return place() is not None

    def world_size(self) -> int:
        """How many there are."""
        return self.here.world_size

    def set_world_size(self, size: int) -> None:
        """Nothing: it is as it is."""

    def global_rank(self) -> int:
        """Number of this one."""
        return self.here.rank

    def set_global_rank(self, rank: int) -> None:
        """Nothing: it is as it is."""

    def local_rank(self) -> int:
        """Number on this machine."""
        return self.here.local_rank

    def node_rank(self) -> int:
        """Number of this machine."""
        return self.here.node_rank


def check_number(trainer: pl.Trainer) -> None:
    """Refuse a number of processes that is not the one configured.

    Raises:
        UserError: With both numbers.
    """
    here, wanted = place(), trainer.num_devices * trainer.num_nodes
    if here is not None and here.world_size != wanted:
        msg = (
            f"{here.world_size} processes were started, but trainer.devices={trainer.num_devices} and "
            f"trainer.num_nodes={trainer.num_nodes} mean {wanted}; make them equal (trainer=ddp trainer.devices=…, "
            "or srun --ntasks-per-node=…)"
        )
        raise UserError(msg)


def stand_alone() -> None:
    """Make this process, and those it starts, forget that others were started beside it: they share no run."""
    for name in ("TORCHELASTIC_RUN_ID", "RANK", "LOCAL_RANK", "SUBMITIT_LOCAL_NTASKS", "SLURM_STEP_NUM_TASKS"):
        os.environ.pop(name, None)
    if "SLURM_PROCID" in os.environ:
        os.environ["SLURM_PROCID"] = "0"  # where Lightning looks, too
