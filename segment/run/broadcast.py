"""How the processes of one run agree before they train: the first decides, the others ask it."""

import os
from collections.abc import Callable
from contextlib import suppress
from datetime import timedelta
from functools import cache

from torch.distributed import DistError, TCPStore  # type: ignore[attr-defined]

from segment.errors import UserError
from segment.run.processes import Place, place

PATIENCE = timedelta(minutes=10)  # processes of one job start within this time
FAILED = "error: "


def broadcast_choice(topic: str, choose: Callable[[], str]) -> str:
    """What process 0 chooses, for all.

    Args:
        topic: What it is about; unlike any other of these processes.
        choose: Called in process 0 only.

    Raises:
        UserError: Elsewhere, when process 0 fails in whatever way, which it raises itself; and when the processes do
            not find each other.
    """
    here = place()
    if here is None:
        return choose()
    try:
        store = _store(here)
        choice = _exchanged(store, here, f"segment/{here.attempt}/{topic}", choose)
    except DistError as error:
        msg = (
            f"the {here.world_size} processes of this run do not find each other at {here.address}:{here.port}; "
            "look for an earlier message of one of them, or set MASTER_PORT to another port"
        )
        raise UserError(msg) from error
    if choice.startswith(FAILED):
        raise UserError(choice.removeprefix(FAILED))
    return choice


def _exchanged(store: TCPStore, here: Place, key: str, choose: Callable[[], str]) -> str:
    """The answer of process 0, which waits until the others have it: they would look for it for long."""
    if here.rank == 0:
        try:
            answer = choose()
        except Exception as error:
            with suppress(DistError):  # what went wrong first has more to say
                _tell(store, here, key, FAILED + _told(error))
            raise
        _tell(store, here, key, answer)
        return answer
    found: str = store.get(key).decode()
    store.set(f"{key}/{here.rank}", "")
    return found


def _tell(store: TCPStore, here: Place, key: str, answer: str) -> None:
    store.set(key, answer)
    store.wait([f"{key}/{rank}" for rank in range(1, here.world_size)])


def _told(error: Exception) -> str:
    return str(error) if isinstance(error, UserError) else f"the first process failed: {type(error).__name__}: {error}"


@cache
def _store(here: Place) -> TCPStore:
    """A connection to what the processes will train through; multi_tenant: Lightning opens it once more.

    It is kept: that of the first process answers the others as long as it is held.
    """
    by_torchrun = os.environ.get("TORCHELASTIC_USE_AGENT_STORE") == "True"
    first = here.rank == 0 and not by_torchrun
    address, port, size = here.address, here.port, here.world_size
    return TCPStore(address, port, size, first, PATIENCE, wait_for_workers=False, multi_tenant=True)
