"""Batches on their way from a loader's worker to the run, in memory that no limit on /dev/shm holds back.

torch passes tensors in files under /dev/shm, of which a container has 64 MB unless it asks for more. A batch that does
not fit is lost with a traceback, and the run waits for it forever. A file that `memfd_create` makes lies in memory of
the same kind, but under no mount, so that only the memory of the machine, or of the job, limits it.
"""

import mmap
import os
from multiprocessing.reduction import DupFd
from typing import Any

import torch
from torch import Tensor
from torch.utils.data import get_worker_info

SMALL = 1 << 16  # bytes that go through the pipe faster than a file does


def passed(batch: Any) -> Any:  # noqa: ANN401
    """What a worker hands on instead of a batch; the run gets the batch.

    Tensors in dictionaries and lists become `Parcel`s. In the run's own process, and where there is no `memfd_create`
    (only Linux has it), it is the batch itself.
    """
    if get_worker_info() is None or not hasattr(os, "memfd_create"):
        return batch
    if isinstance(batch, dict):
        return {key: passed(value) for key, value in batch.items()}
    if isinstance(batch, list):
        return [passed(value) for value in batch]
    return Parcel(batch) if isinstance(batch, Tensor) else batch


class Parcel:
    """A tensor of the CPU that is pickled once, and unpickled in another process as a tensor of the same values.

    Raises:
        OSError: When there is no memory for it.
    """

    def __init__(self, tensor: Tensor) -> None:
        self.dtype = tensor.dtype
        self.shape = tensor.shape
        content = tensor.contiguous().flatten().view(torch.uint8).numpy().data
        if content.nbytes < SMALL:
            self.content: bytearray | int = bytearray(content)
            return
        self.content = os.memfd_create("batch")
        with os.fdopen(self.content, "wb", closefd=False) as file:
            file.write(content)

    def __reduce__(self) -> tuple[Any, ...]:
        if isinstance(self.content, bytearray):
            return _unpacked, (self.content, self.dtype, self.shape)
        number, self.content = self.content, bytearray()
        try:
            return _received, (DupFd(number), self.dtype, self.shape)
        finally:
            os.close(number)


def _unpacked(content: bytearray | mmap.mmap, dtype: torch.dtype, shape: torch.Size) -> Tensor:
    if not len(content):  # torch makes no tensor of an empty buffer
        return torch.empty(shape, dtype=dtype)
    return torch.frombuffer(content, dtype=dtype).view(shape)


def _received(sent: Any, dtype: torch.dtype, shape: torch.Size) -> Tensor:  # noqa: ANN401  # typeshed has no DupFd
    number = sent.detach()
    try:
        return _unpacked(mmap.mmap(number, 0, flags=mmap.MAP_SHARED | mmap.MAP_POPULATE), dtype, shape)
    finally:
        os.close(number)
