"""Restore the state of the process after a trial."""

import gc
import logging
import os
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

import torch

from segment.errors import UserError
from segment.runtime.seeding import random_state

LIGHTNING = ("pytorch_lightning", "lightning_fabric")


@contextmanager
def preserved_state(seed: int) -> Iterator[None]:
    """Seed random numbers for a block; afterwards restore them and the environment variables, and free GPU memory.

    Warnings and Lightning's messages are silenced, because the run repeats them.

    Args:
        seed: In [0, 2^32).

    Raises:
        UserError: When the GPU runs out of memory in the block.
    """
    environment = dict(os.environ)
    levels = {name: logging.getLogger(name).level for name in LIGHTNING}
    on_gpu = torch.cuda.is_available()
    states = torch.cuda.get_rng_state_all() if on_gpu else []
    try:
        with random_state(seed), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            for name in LIGHTNING:
                logging.getLogger(name).setLevel(logging.ERROR)
            yield
    except torch.OutOfMemoryError as error:
        msg = (
            "the GPU's memory is not enough for the run; lower data.batch_size, data.patch_size or the network's width"
        )
        raise UserError(msg) from error
    finally:
        for name, level in levels.items():
            logging.getLogger(name).setLevel(level)
        os.environ.clear()
        os.environ.update(environment)
        gc.collect()  # trainer and module refer to each other
        if on_gpu:
            torch.cuda.empty_cache()
            torch.cuda.set_rng_state_all(states)
