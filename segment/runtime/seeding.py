"""Random numbers that neither hang on what was drawn before nor change what is drawn after."""

import random
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch


@contextmanager
def random_state(seed: int) -> Iterator[None]:
    """Seed torch (on the CPU), numpy and random for a block and put their states back after it.

    Args:
        seed: In [0, 2^32).
    """
    states = torch.get_rng_state(), np.random.get_state(), random.getstate()
    torch.default_generator.manual_seed(seed)
    np.random.seed(seed)
    random.seed(seed)
    try:
        yield
    finally:
        torch.set_rng_state(states[0])
        np.random.set_state(states[1])
        random.setstate(states[2])
