"""Broadcast a text from rank 0 to all processes of a run before training starts."""

import os
from collections.abc import Callable
from contextlib import suppress
from datetime import timedelta
from functools import cache

from torch.distributed import DistError, TCPStore  # type: ignore[attr-defined]

from segment.errors import UserError
from segment.run.processes import RankInfo, rank_info

TIMEOUT = timedelta(minutes=10)  # all processes of a job start within this time
FAILED = "error: "


def broadcast_choice(topic: str, choose: Callable[[], str]) -> str:
    """Return on every process what `choose` returns on rank 0.

    Args:
        topic: Name of the choice. Use each name once in a process.
        choose: Called on rank 0 only.

    Raises:
        UserError: On the other ranks when `choose` fails on rank 0 (rank 0 raises the original error), and on all
            ranks when they cannot connect to each other.
    """
    info = rank_info()
    if info is None:
        return choose()
    try:
        store = _store(info)
        choice = _broadcast(store, info, f"segment/{info.attempt}/{topic}", choose)
    except DistError as error:
        msg = (
            f"the {info.world_size} processes of this run cannot connect to each other at {info.address}:{info.port}; "
            "look for an earlier error of one of them, or set MASTER_PORT to another port"
        )
        raise UserError(msg) from error
    if choice.startswith(FAILED):
        raise UserError(choice.removeprefix(FAILED))
    return choice


def _broadcast(store: TCPStore, info: RankInfo, key: str, choose: Callable[[], str]) -> str:
    """Return the choice of rank 0, or its error message after the prefix `FAILED`."""
    if info.rank == 0:
        try:
            answer = choose()
        except Exception as error:
            with suppress(DistError):  # the first error is the more useful one
                _publish(store, info, key, FAILED + _message(error))
            raise
        _publish(store, info, key, answer)
        return answer
    found: str = store.get(key).decode()
    store.set(f"{key}/{info.rank}", "")
    return found


def _publish(store: TCPStore, info: RankInfo, key: str, answer: str) -> None:
    """Store the answer and wait until all ranks have read it: without rank 0, which runs the store, they time out."""
    store.set(key, answer)
    store.wait([f"{key}/{rank}" for rank in range(1, info.world_size)])


def _message(error: Exception) -> str:
    if isinstance(error, UserError):
        return str(error)
    return f"the first process failed: {type(error).__name__}: {error}"


@cache
def _store(info: RankInfo) -> TCPStore:
    """Connect to the store at the address that training will use.

    Lightning opens the same store again, hence `multi_tenant`. The connection is cached because the store of rank 0
    serves the other ranks only as long as the object exists.
    """
    by_torchrun = os.environ.get("TORCHELASTIC_USE_AGENT_STORE") == "True"
    is_server = info.rank == 0 and not by_torchrun
    address, port, size = info.address, info.port, info.world_size
    return TCPStore(address, port, size, is_server, TIMEOUT, wait_for_workers=False, multi_tenant=True)
