"""Peak memory of a computation, from its shapes alone.

The computation runs on torch's meta device, whose tensors have shapes but no values. We add up the sizes of all tensors
that exist at the same time. Workspace of kernels is not counted, except for `KERNELS`.
"""

import weakref
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

from segment.memory.torch_internals import observe_operations

# oneDNN uses its own memory layout: on a CPU it copies inputs and outputs of these operations while they run.
KERNELS = ("convolution", "convolution_backward")


def peak(computation: Callable[[], Any]) -> int:
    """Peak bytes of the tensors that a computation on the meta device creates; its inputs are not counted.

    Raises:
        RuntimeError: When an operation does not support the meta device, or depends on values.
    """
    ledger = _Ledger()
    with observe_operations(ledger.record):
        computation()
    return ledger.most


class _Ledger:
    """Adds the size of every new storage, and subtracts it when the storage is freed."""

    def __init__(self) -> None:
        self.held = 0
        self.most = 0
        self._known: set[int] = set()  # a storage is one Python object for as long as it lives, so its id names it

    def record(self, operation: str, inputs: Sequence[Tensor], outputs: Sequence[Tensor]) -> None:
        """Add the storages that an operation created."""
        before = {id(tensor.untyped_storage()) for tensor in inputs}
        for tensor in outputs:
            storage = tensor.untyped_storage()
            if id(storage) not in before and id(storage) not in self._known:
                self._add(storage)
        copies = sum(map(_size, (*inputs, *outputs))) if operation in KERNELS else 0
        self.most = max(self.most, self.held + copies)

    def _add(self, storage: torch.UntypedStorage) -> None:
        key, size = id(storage), storage.nbytes()
        self._known.add(key)
        self.held += size
        weakref.finalize(storage, self._remove, key, size)

    def _remove(self, key: int, size: int) -> None:
        self._known.discard(key)
        self.held -= size


def _size(tensor: Tensor) -> int:
    return tensor.numel() * tensor.element_size()
