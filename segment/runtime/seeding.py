"""Random numbers that are isolated from the rest of the process."""

import random
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch


@contextmanager
def random_state(seed: int) -> Iterator[None]:
    """Seed torch (CPU), NumPy and `random` for a block, and restore their states afterwards.

    Args:
        seed: In [0, 2^32).
    """
    torch_state, numpy_state, python_state = torch.get_rng_state(), np.random.get_state(), random.getstate()
    torch.default_generator.manual_seed(seed)
    np.random.seed(seed)
    random.seed(seed)
    try:
        yield
    finally:
        torch.set_rng_state(torch_state)
        np.random.set_state(numpy_state)
        random.setstate(python_state)
