from types import SimpleNamespace

import pytest
import torch
from torch import nn

from segment.callbacks.reseed import Reseed
from segment.runtime.seeding import random_state


@pytest.fixture(autouse=True)
def _state_put_back(monkeypatch):
    monkeypatch.setenv("PL_GLOBAL_SEED", "0")  # the callback sets it; this puts it back
    monkeypatch.setenv("PL_SEED_WORKERS", "0")
    with random_state(0):
        yield


def dropped(seed: int, epoch: int, batch: int, rank: int, drawn_before: int) -> list[bool]:
    """What dropout drops first in a batch."""
    torch.rand(drawn_before)
    Reseed(seed).on_train_batch_start(SimpleNamespace(current_epoch=epoch, global_rank=rank), None, None, batch)
    return (nn.Dropout(0.5)(torch.ones(64)) == 0).tolist()


def test_a_batch_s_dropout_does_not_hang_on_what_was_drawn_before():
    assert dropped(0, 3, 5, 0, drawn_before=0) == dropped(0, 3, 5, 0, drawn_before=17)


def test_seeds_epochs_batches_and_processes_differ():
    words = ((0, 3, 5, 0), (1, 3, 5, 0), (0, 4, 5, 0), (0, 3, 6, 0), (0, 3, 5, 1))
    assert len({tuple(dropped(*each, drawn_before=0)) for each in words}) == 5
