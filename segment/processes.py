"""The processes of one run that srun, torchrun or submitit started: which of them this is, and how they agree."""

import os
import zlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta

from lightning_fabric.plugins.environments.cluster_environment import ClusterEnvironment
from lightning_fabric.plugins.environments.lightning import LightningEnvironment
from lightning_fabric.plugins.environments.slurm import SLURMEnvironment
from torch.distributed import DistError, TCPStore  # type: ignore[attr-defined]

from segment.errors import UserError

PATIENCE = timedelta(minutes=10)  # processes of one job start within this time
FAILED = "error: "
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


def environment() -> ClusterEnvironment:
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

    def validate_settings(self, num_devices: int, num_nodes: int) -> None:
        """Refuse a number of processes that is not the one configured.

        Raises:
            UserError: With both numbers.
        """
        if num_devices * num_nodes != self.here.world_size:
            msg = (
                f"{self.here.world_size} processes were started, but trainer.devices={num_devices} and "
                f"trainer.num_nodes={num_nodes} mean {num_devices * num_nodes}; make them equal"
            )
            raise UserError(msg)


@contextmanager
def agreed(topic: str, choose: Callable[[], str]) -> Iterator[str]:
    """What process 0 chooses, for all.

    Args:
        topic: What it is about; unlike any other of these processes.
        choose: Called in process 0 only.

    Raises:
        UserError: When process 0 raises one, and when the processes do not find each other.
    """
    here = place()
    if here is None:
        yield choose()
        return
    try:
        store = _store(here)
        answer = _answer(choose) if here.rank == 0 else ""
        choice = _exchanged(store, here, f"segment/{here.attempt}/{topic}", answer)
    except DistError as error:
        msg = (
            f"the {here.world_size} processes of this run do not find each other at {here.address}:{here.port}; "
            "look for an earlier message of one of them, or set MASTER_PORT to another port"
        )
        raise UserError(msg) from error
    if choice.startswith(FAILED):
        raise UserError(choice.removeprefix(FAILED))
    yield choice
    del store  # not before: it answers as long as it is held


def _answer(choose: Callable[[], str]) -> str:
    try:
        return choose()
    except UserError as error:
        return FAILED + str(error)


def _exchanged(store: TCPStore, here: Place, key: str, answer: str) -> str:
    """The answer of process 0, which waits until the others have it: they would look for it for long."""
    if here.rank == 0:
        store.set(key, answer)
        store.wait([f"{key}/{rank}" for rank in range(1, here.world_size)])
        return answer
    found: str = store.get(key).decode()
    store.set(f"{key}/{here.rank}", "")
    return found


def _store(here: Place) -> TCPStore:
    """A connection to what the processes will train through; multi_tenant: Lightning opens it once more."""
    by_torchrun = os.environ.get("TORCHELASTIC_USE_AGENT_STORE") == "True"
    first = here.rank == 0 and not by_torchrun
    address, port, size = here.address, here.port, here.world_size
    return TCPStore(address, port, size, first, PATIENCE, wait_for_workers=False, multi_tenant=True)
