"""The number of torch's threads, on which the last bits of its sums depend."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch


@contextmanager
def one_thread() -> Iterator[None]:
    """Let torch compute a block in one thread, as in a loader's workers, and in as many as before after it.

    Threads add up parts of a volume on their own, so a mean has other last bits with each number of them. Patches lose
    nothing: they are made in pieces that are too small to share.
    """
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)
