"""Peak memory of a computation, from its shapes alone.

The computation runs on torch's meta device, whose tensors have shapes but no values. We add up the sizes of all tensors
that exist at the same time. Workspace of kernels is not counted, except for `KERNELS`.
"""

import weakref
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

# oneDNN uses its own memory layout: on a CPU it copies inputs and outputs of these operations while they run.
KERNELS = ("convolution", "convolution_backward")


def peak(computation: Callable[[], Any]) -> int:
    """Peak bytes of the tensors that a computation on the meta device creates; its inputs are not counted.

    Raises:
        RuntimeError: When an operation does not support the meta device, or depends on values.
    """
    ledger = _Ledger()
    with ledger:
        computation()
    return ledger.most


class _Ledger(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Adds the size of every new storage, and subtracts it when the storage is freed."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.held = 0
        self.most = 0
        self._known: set[int] = set()

    def __torch_dispatch__(
        self,
        func: Any,  # noqa: ANN401
        types: Any,  # noqa: ANN401
        args: tuple[Any, ...] = (),
        kwargs: dict[str, Any] | None = None,
    ) -> Any:  # noqa: ANN401
        inputs = [tensor for tensor in tree_leaves((args, kwargs)) if isinstance(tensor, Tensor)]
        before = {tensor.untyped_storage()._cdata for tensor in inputs}
        result = func(*args, **(kwargs or {}))
        outputs = [tensor for tensor in tree_leaves(result) if isinstance(tensor, Tensor)]
        for tensor in outputs:
            storage = tensor.untyped_storage()
            if storage._cdata not in before and storage._cdata not in self._known:
                self._add(storage)
        copies = sum(map(_size, (*inputs, *outputs))) if func.overloadpacket.__name__ in KERNELS else 0
        self.most = max(self.most, self.held + copies)
        return result

    def _add(self, storage: torch.UntypedStorage) -> None:
        key, size = storage._cdata, storage.nbytes()
        self._known.add(key)
        self.held += size
        weakref.finalize(storage, self._remove, key, size)

    def _remove(self, key: int, size: int) -> None:
        self._known.discard(key)
        self.held -= size


def _size(tensor: Tensor) -> int:
    return tensor.numel() * tensor.element_size()
