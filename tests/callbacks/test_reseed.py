from types import SimpleNamespace

import pytest
import torch
from torch import nn

from segment.callbacks.reseed import Reseed
from segment.runtime.seeding import random_state


@pytest.fixture(autouse=True)
def _restore_state(monkeypatch):
    monkeypatch.setenv("PL_GLOBAL_SEED", "0")  # set by the callback; restored after the test
    monkeypatch.setenv("PL_SEED_WORKERS", "0")
    with random_state(0):
        yield


def dropped(seed: int, epoch: int, batch: int, rank: int, numbers_before: int) -> list[bool]:
    """The values that dropout sets to zero first in a batch."""
    torch.rand(numbers_before)
    Reseed(seed).on_train_batch_start(SimpleNamespace(current_epoch=epoch, global_rank=rank), None, None, batch)
    return (nn.Dropout(0.5)(torch.ones(64)) == 0).tolist()


def test_dropout_does_not_depend_on_earlier_random_numbers():
    assert dropped(0, 3, 5, 0, numbers_before=0) == dropped(0, 3, 5, 0, numbers_before=17)


def test_dropout_differs_between_seeds_epochs_batches_and_ranks():
    words = ((0, 3, 5, 0), (1, 3, 5, 0), (0, 4, 5, 0), (0, 3, 6, 0), (0, 3, 5, 1))
    assert len({tuple(dropped(*each, numbers_before=0)) for each in words}) == 5
