"""Peak memory of a computation, from its shapes alone.

The computation runs on torch's meta device, whose tensors have shapes but no values. We add up the sizes of all tensors
that exist at the same time, or follow an allocator. Of the workspace of kernels, only that of convolutions on a CPU is
counted.
"""

import weakref
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

from segment.memory.caching_allocator import CachingAllocator
from segment.memory.onednn import bytes_while_running
from segment.memory.torch_internals import observe_operations


def peak(computation: Callable[[], Any]) -> int:
    """Peak bytes on a CPU of the tensors that a computation on the meta device creates; its inputs are not counted.

    Raises:
        RuntimeError: When an operation does not support the meta device, or depends on values.
    """
    ledger = _Ledger()
    with observe_operations(ledger.record):
        computation()
    return ledger.most


def reserved(computation: Callable[[], Any]) -> int:
    """Bytes that PyTorch's caching allocator reserves on a GPU for the tensors of such a computation.

    The workspace of cuDNN's kernels is not counted.

    Raises:
        RuntimeError: As `peak`.
    """
    ledger = _Ledger(CachingAllocator())
    with observe_operations(ledger.record):
        computation()
    assert ledger.allocator is not None
    return ledger.allocator.reserved


class _Ledger:
    """Adds the size of every new storage, and subtracts it when the storage is freed.

    Args:
        allocator: Follows the allocations of a GPU; None: a CPU, where convolutions need a workspace.
    """

    def __init__(self, allocator: CachingAllocator | None = None) -> None:
        self.allocator = allocator
        self.held = 0
        self.most = 0
        self._known: set[int] = set()  # a storage is one Python object for as long as it lives, so its id names it

    def record(self, operation: str, inputs: Sequence[Tensor], outputs: Sequence[Tensor]) -> None:
        """Add the storages that an operation created."""
        running = self.held + bytes_while_running(operation, inputs, outputs)
        before = {id(tensor.untyped_storage()) for tensor in inputs}
        for tensor in outputs:
            storage = tensor.untyped_storage()
            if id(storage) not in before and id(storage) not in self._known:
                self._add(storage)
        self.most = max(self.most, self.held, running)

    def _add(self, storage: torch.UntypedStorage) -> None:
        key, size = id(storage), storage.nbytes()
        self._known.add(key)
        self.held += size
        block = None if self.allocator is None else self.allocator.allocate(size)
        weakref.finalize(storage, self._remove, key, size, block)

    def _remove(self, key: int, size: int, block: Any) -> None:  # noqa: ANN401
        self._known.discard(key)
        self.held -= size
        if self.allocator is not None:
            self.allocator.free(block)
