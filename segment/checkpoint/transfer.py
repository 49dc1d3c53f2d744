"""Weights of one network in another one of the same kind, whose classes may be others."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn


@dataclass(frozen=True)
class Transfer:
    """What became of the weights.

    Attributes:
        share: Share of the network's parameters (by their number of values) whose tensors were loaded, in [0, 1].
        loaded: Tensors that were.
        left: Tensors of the network that were not, each with the reason.
        unused: Tensors that the network does not have.
    """

    share: float
    loaded: list[str]
    left: list[str]
    unused: list[str]


def transfer(
    net: nn.Module,
    make_net: Callable[..., nn.Module],
    organs: Sequence[str],
    weights: Mapping[str, Tensor],
    organs_before: Sequence[str],
) -> Transfer:
    """Copy what fits of the weights into a network, the rows of its classes by their names.

    A tensor fits if its shape is that of the network's, classes aside. Classes that only the network knows keep their
    values.

    Args:
        net: The network, whose class i is organs[i-1].
        make_net: Called with `out_channels`, makes such a network.
        organs: Its organs.
        weights: State of another network, by the names that tensors have in this one.
        organs_before: That network's organs.
    """
    axes = _class_axes(make_net, len(organs) + 1)
    here, there = zip(*_shared([None, *organs], [None, *organs_before]), strict=True)
    state, loaded, left = net.state_dict(), [], []
    for name, value in state.items():
        of_classes = axes.get(name, ())
        wanted = tuple(len(organs_before) + 1 if axis in of_classes else n for axis, n in enumerate(value.shape))
        found = tuple(weights[name].shape) if name in weights else None
        if found == wanted:
            _copy(value, weights[name], of_classes, here, there)
            loaded.append(name)
        else:
            left.append(f"{name} ({f'{found} there, {wanted} here' if found is not None else 'only here'})")
    sizes = {name: parameter.numel() for name, parameter in net.named_parameters()}
    share = sum(sizes.get(name, 0) for name in loaded) / max(1, sum(sizes.values()))
    return Transfer(share, loaded, left, sorted(weights.keys() - state.keys()))


def _class_axes(make_net: Callable[..., nn.Module], classes: int) -> dict[str, tuple[int, ...]]:
    """Axes of tensors that run over classes: those that are longer in a network with one class more."""
    with torch.random.fork_rng(devices=[]):  # initialising must not move the run's random numbers
        shapes, longer = (make_net(out_channels=n).state_dict() for n in (classes, classes + 1))
    return {
        name: tuple(axis for axis, n in enumerate(value.shape) if longer[name].shape[axis] == n + 1 and n == classes)
        for name, value in shapes.items()
        if longer[name].shape != value.shape
    }


def _shared(here: Sequence[str | None], there: Sequence[str | None]) -> list[tuple[int, int]]:
    """Indices here and there of names that both have; None is the background."""
    return [(index, there.index(name)) for index, name in enumerate(here) if name in there]


def _copy(target: Tensor, source: Tensor, axes: Sequence[int], here: Sequence[int], there: Sequence[int]) -> None:
    """Copy in place; along the axes of classes, only from `there` to `here`."""
    if not axes:
        target.copy_(source)
        return

    def grid(classes: Sequence[int]) -> tuple[Tensor, ...]:
        along = [torch.tensor(classes) if axis in axes else torch.arange(n) for axis, n in enumerate(target.shape)]
        return torch.meshgrid(*along, indexing="ij")

    target[grid(here)] = source[grid(there)].to(target)
