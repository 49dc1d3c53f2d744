import logging
import os
import random
import warnings

import numpy as np
import pytest
import torch

from segment.errors import UserError
from segment.forecast.preserve import preserved_state


def seed_all(seed):
    torch.manual_seed(seed)
    np.random.seed(seed)
    random.seed(seed)


def random_numbers():
    return torch.rand(3).tolist(), np.random.random(3).tolist(), random.random()


def test_block_is_seeded_and_its_changes_are_undone(monkeypatch):
    monkeypatch.setenv("SEGMENT_KEPT", "before")
    monkeypatch.setenv("SEGMENT_GONE", "before")
    level = logging.getLogger("pytorch_lightning").level
    seed_all(5)
    expected = random_numbers()
    seed_all(5)
    inside = []
    for _ in range(2):
        with preserved_state(7):
            inside.append(random_numbers())
            torch.rand(1000)
            os.environ["SEGMENT_KEPT"] = "changed"
            os.environ["SEGMENT_NEW"] = "new"
            del os.environ["SEGMENT_GONE"]
            warnings.warn("repeated by the run", stacklevel=1)
    assert inside[0] == inside[1] != expected
    assert random_numbers() == expected
    assert (os.environ["SEGMENT_KEPT"], os.environ["SEGMENT_GONE"]) == ("before", "before")
    assert "SEGMENT_NEW" not in os.environ
    assert logging.getLogger("pytorch_lightning").level == level


def test_out_of_memory_on_the_gpu_is_a_user_error():
    torch.manual_seed(5)
    with (
        pytest.raises(UserError, match=r"GPU's memory is not enough for the run; lower data\.batch_size"),
        preserved_state(7),
    ):
        raise torch.OutOfMemoryError
    after = torch.rand(1)
    torch.manual_seed(5)
    assert torch.equal(after, torch.rand(1))
