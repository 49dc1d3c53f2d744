"""Passing batches from loader workers to the main process without /dev/shm.

torch passes tensors in files under /dev/shm, which holds 64 MB in a container by default. A batch that does not fit is
lost with a traceback, and the main process waits for it forever. A file from `memfd_create` uses the same kind of
memory but belongs to no mount, so only the memory of the machine or the job limits it.
"""

import mmap
import os
from multiprocessing.reduction import DupFd
from typing import Any

import torch
from torch import Tensor
from torch.utils.data import get_worker_info

SMALL_BYTES = 1 << 16  # below this size a pipe is faster than a file


def wrap_batch(batch: Any) -> Any:  # noqa: ANN401
    """Wrap the tensors of a worker's batch, in dictionaries and lists, as `PassedTensor`.

    Pickling sends a `PassedTensor` as a file, and the main process receives a plain tensor. The batch is returned as
    it is in the main process and on systems without `memfd_create`, which only Linux has.
    """
    if get_worker_info() is None or not hasattr(os, "memfd_create"):
        return batch
    if isinstance(batch, dict):
        return {key: wrap_batch(value) for key, value in batch.items()}
    if isinstance(batch, list):
        return [wrap_batch(value) for value in batch]
    return PassedTensor(batch) if isinstance(batch, Tensor) else batch


class PassedTensor:
    """A copy of a CPU tensor that can be pickled once and becomes a tensor again in the process that unpickles it.

    Raises:
        OSError: When there is not enough memory for the copy.
    """

    def __init__(self, tensor: Tensor) -> None:
        self.dtype = tensor.dtype
        self.shape = tensor.shape
        content = tensor.contiguous().flatten().view(torch.uint8).numpy().data
        if content.nbytes < SMALL_BYTES:
            self.content: bytearray | int = bytearray(content)
            return
        self.content = os.memfd_create("batch")
        with os.fdopen(self.content, "wb", closefd=False) as file:
            file.write(content)

    def __reduce__(self) -> tuple[Any, ...]:
        if isinstance(self.content, bytearray):
            return _tensor_from_buffer, (self.content, self.dtype, self.shape)
        descriptor, self.content = self.content, bytearray()
        try:
            return _tensor_from_file, (DupFd(descriptor), self.dtype, self.shape)
        finally:
            os.close(descriptor)


def _tensor_from_buffer(content: bytearray | mmap.mmap, dtype: torch.dtype, shape: torch.Size) -> Tensor:
    if not len(content):  # torch.frombuffer refuses an empty buffer
        return torch.empty(shape, dtype=dtype)
    return torch.frombuffer(content, dtype=dtype).view(shape)


def _tensor_from_file(file: Any, dtype: torch.dtype, shape: torch.Size) -> Tensor:  # noqa: ANN401  # no DupFd in typeshed
    descriptor = file.detach()
    try:
        content = mmap.mmap(descriptor, 0, flags=mmap.MAP_SHARED | mmap.MAP_POPULATE)
        return _tensor_from_buffer(content, dtype, shape)
    finally:
        os.close(descriptor)
