"""The private part of torch that this package uses, in one function.

torch has no public way to observe every operation. When you upgrade it, check this file.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from typing import Any

from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

# Called with the name of an operation, for example `convolution`, and the tensors that it took and returned.
Observer = Callable[[str, Sequence[Tensor], Sequence[Tensor]], None]


def observe_operations(observer: Observer) -> AbstractContextManager[object]:
    """Call a function after every operation on tensors in the block, including those of the backward pass."""
    return _Observed(observer)


class _Observed(TorchDispatchMode):  # type: ignore[no-untyped-call]
    def __init__(self, observer: Observer) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.observer = observer

    def __torch_dispatch__(
        self,
        func: Any,  # noqa: ANN401
        types: Any,  # noqa: ANN401
        args: tuple[Any, ...] = (),
        kwargs: dict[str, Any] | None = None,
    ) -> Any:  # noqa: ANN401
        kwargs = kwargs or {}
        result = func(*args, **kwargs)
        inputs = [*_tensors_in(args), *_tensors_in(tuple(kwargs.values()))]
        self.observer(func.overloadpacket.__name__, inputs, list(_tensors_in(result)))
        return result


def _tensors_in(value: object) -> Iterator[Tensor]:
    """Yield the tensors in arguments or results, in which lists and tuples may be nested."""
    if isinstance(value, Tensor):
        yield value
    elif isinstance(value, list | tuple):
        for item in value:
            yield from _tensors_in(item)
