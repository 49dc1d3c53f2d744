import random

import numpy as np
import pytest
import torch

from segment.runtime.seeding import random_state


def sample():
    return torch.rand(3).tolist(), torch.randn(1).item(), np.random.rand(3).tolist(), random.random()


def test_random_numbers_in_the_block_depend_on_the_seed_only():
    with random_state(5):
        first = sample()
    sample()
    with random_state(5):
        assert sample() == first
    with random_state(6):
        other = sample()
    assert all(a != b for a, b in zip(first, other, strict=True))


@pytest.mark.parametrize("fails", [False, True])
def test_random_states_are_restored_after_the_block(fails):
    torch.manual_seed(1)
    np.random.seed(1)
    random.seed(1)
    expected = sample(), sample()
    torch.manual_seed(1)
    np.random.seed(1)
    random.seed(1)
    assert sample() == expected[0]
    try:
        with random_state(2**32 - 1):
            sample()
            if fails:
                raise ValueError
    except ValueError:
        pass
    assert sample() == expected[1]
