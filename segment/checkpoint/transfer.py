"""Copy weights from one network to another of the same kind, which may have other classes."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn


@dataclass(frozen=True)
class Transfer:
    """Which tensors were copied.

    Attributes:
        share: Share of the network's parameters that were copied, counted by their values, in [0, 1].
        loaded: Names of the copied tensors.
        skipped: Tensors of the network that were not copied, each with the reason.
        unused: Names of weights that the network does not have.
    """

    share: float
    loaded: list[str]
    skipped: list[str]
    unused: list[str]


def transfer(
    net: nn.Module,
    make_net: Callable[..., nn.Module],
    organs: Sequence[str],
    weights: Mapping[str, Tensor],
    organs_before: Sequence[str],
) -> Transfer:
    """Copy matching tensors into a network, and rows that belong to classes by the names of the classes.

    A tensor matches if it has the same shape, apart from the axes over classes. Classes that only the new network has
    keep their values. For example, weights for liver and spleen fill these two rows of a head for liver, aorta and
    spleen.

    Args:
        net: The network. Its class i is organs[i-1].
        make_net: Called with `out_channels`, returns a network of this kind.
        organs: Organs of `net`.
        weights: State of the other network, with the tensor names of `net`.
        organs_before: Organs of the other network.
    """
    axes = _class_axes(make_net, len(organs) + 1)
    target_rows, source_rows = zip(*_shared([None, *organs], [None, *organs_before]), strict=True)
    state, loaded, skipped = net.state_dict(), [], []
    for name, value in state.items():
        class_axes = axes.get(name, ())
        expected = tuple(len(organs_before) + 1 if axis in class_axes else n for axis, n in enumerate(value.shape))
        found = tuple(weights[name].shape) if name in weights else None
        if found is None:
            skipped.append(f"{name} (not in the checkpoint)")
        elif found != expected:
            skipped.append(f"{name} (shape {found} in the checkpoint, {expected} in the network)")
        else:
            _copy(value, weights[name], class_axes, target_rows, source_rows)
            loaded.append(name)
    sizes = {name: parameter.numel() for name, parameter in net.named_parameters()}
    share = sum(sizes.get(name, 0) for name in loaded) / max(1, sum(sizes.values()))
    return Transfer(share, loaded, skipped, sorted(weights.keys() - state.keys()))


def _class_axes(make_net: Callable[..., nn.Module], classes: int) -> dict[str, tuple[int, ...]]:
    """Axes of tensors that run over classes: those that are longer in a network with one more class."""
    with torch.random.fork_rng(devices=[]):  # initialising a network must not change the run's random numbers
        state = make_net(out_channels=classes).state_dict()
        longer = make_net(out_channels=classes + 1).state_dict()
    axes = {}
    for name, value in state.items():
        pairs = enumerate(zip(value.shape, longer[name].shape, strict=True))
        if longer[name].shape != value.shape:
            axes[name] = tuple(axis for axis, (n, n_longer) in pairs if n == classes and n_longer == n + 1)
    return axes


def _shared(organs: Sequence[str | None], organs_before: Sequence[str | None]) -> list[tuple[int, int]]:
    """Indices in both lists of the names that both have; None is the background."""
    return [(index, organs_before.index(name)) for index, name in enumerate(organs) if name in organs_before]


def _copy(
    target: Tensor, source: Tensor, axes: Sequence[int], target_rows: Sequence[int], source_rows: Sequence[int]
) -> None:
    """Copy in place; along the axes over classes, only from `source_rows` to `target_rows`."""
    if not axes:
        target.copy_(source)
        return

    def grid(rows: Sequence[int]) -> tuple[Tensor, ...]:
        along = [torch.tensor(rows) if axis in axes else torch.arange(n) for axis, n in enumerate(target.shape)]
        return torch.meshgrid(*along, indexing="ij")

    target[grid(target_rows)] = source[grid(source_rows)].to(target)
