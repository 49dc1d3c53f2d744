import random

import numpy as np
import pytest
import torch

from segment.runtime.seeding import random_state


def draws():
    return torch.rand(3).tolist(), torch.randn(1).item(), np.random.rand(3).tolist(), random.random()


def test_inside_the_seed_decides():
    with random_state(5):
        first = draws()
    draws()
    with random_state(5):
        assert draws() == first
    with random_state(6):
        other = draws()
    assert all(a != b for a, b in zip(first, other, strict=True))


@pytest.mark.parametrize("fails", [False, True])
def test_outside_nothing_moves(fails):
    torch.manual_seed(1)
    np.random.seed(1)
    random.seed(1)
    expected = draws(), draws()
    torch.manual_seed(1)
    np.random.seed(1)
    random.seed(1)
    assert draws() == expected[0]
    try:
        with random_state(2**32 - 1):
            draws()
            if fails:
                raise ValueError
    except ValueError:
        pass
    assert draws() == expected[1]
