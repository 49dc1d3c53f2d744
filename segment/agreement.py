"""How the processes of one run agree before they train: the first decides, the others ask it."""

import os
from collections.abc import Callable
from datetime import timedelta
from functools import cache

from torch.distributed import DistError, TCPStore  # type: ignore[attr-defined]

from segment.errors import UserError
from segment.processes import Place, place

PATIENCE = timedelta(minutes=10)  # processes of one job start within this time
FAILED = "error: "


def agreed(topic: str, choose: Callable[[], str]) -> str:
    """What process 0 chooses, for all.

    Args:
        topic: What it is about; unlike any other of these processes.
        choose: Called in process 0 only.

    Raises:
        UserError: When process 0 raises one, and when the processes do not find each other.
    """
    here = place()
    if here is None:
        return choose()
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
    return choice


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


@cache
def _store(here: Place) -> TCPStore:
    """A connection to what the processes will train through; multi_tenant: Lightning opens it once more.

    It is kept: that of the first process answers the others as long as it is held.
    """
    by_torchrun = os.environ.get("TORCHELASTIC_USE_AGENT_STORE") == "True"
    first = here.rank == 0 and not by_torchrun
    address, port, size = here.address, here.port, here.world_size
    return TCPStore(address, port, size, first, PATIENCE, wait_for_workers=False, multi_tenant=True)
