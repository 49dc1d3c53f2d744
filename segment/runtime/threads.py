"""The number of torch's threads, which changes the last bits of its sums."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch


@contextmanager
def one_thread() -> Iterator[None]:
    """Run a block with one torch thread, as in a loader's worker, and restore the number afterwards.

    Each thread sums its own part of a volume, so the last bits of a mean depend on the number of threads. With one
    thread, patches are made as fast as with several, because their arrays are too small to be split between threads.
    """
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)
