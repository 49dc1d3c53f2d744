"""Memory of a computation, from its shapes alone.

It runs on torch's meta device, where tensors have shapes and no values, and the sizes of all tensors that live at the
same time are added up. Left out is what kernels take for themselves besides what `KERNELS` states.
"""

import weakref
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

# oneDNN convolves in an order of its own: on a CPU, inputs and results of these are copied while they run.
KERNELS = ("convolution", "convolution_backward")


def peak(computation: Callable[[], Any]) -> int:
    """The most bytes that tensors made by a computation on the meta device hold at a time, without its inputs.

    Raises:
        RuntimeError: When an operation has no form for the meta device, or depends on values.
    """
    ledger = _Ledger()
    with ledger:
        computation()
    return ledger.most


class _Ledger(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Adds the size of every new storage, and subtracts it when the storage goes."""

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
        given = [tensor for tensor in tree_leaves((args, kwargs)) if isinstance(tensor, Tensor)]
        before = {tensor.untyped_storage()._cdata for tensor in given}
        result = func(*args, **(kwargs or {}))
        made = [tensor for tensor in tree_leaves(result) if isinstance(tensor, Tensor)]
        for tensor in made:
            storage = tensor.untyped_storage()
            if storage._cdata not in before and storage._cdata not in self._known:
                self._add(storage)
        own = sum(map(_size, (*given, *made))) if func.overloadpacket.__name__ in KERNELS else 0
        self.most = max(self.most, self.held + own)
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
