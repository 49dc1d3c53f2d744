"""Callback that keeps parts of the network fixed, e.g. the weights that another run has trained."""

from collections.abc import Iterator, Sequence
from fnmatch import fnmatchcase
from itertools import chain
from typing import Any

import pytorch_lightning as pl
from torch import nn

from segment.bounds import NonNegativeInt, in_range
from segment.errors import UserError


class Freeze(pl.Callback):
    """Freeze all parameters with matching names: they get no gradient, so no optimizer step changes them.

    A normalisation layer also keeps its running statistics if all of its own parameters and buffers match. Whether a
    parameter is frozen depends only on the epoch, so a resumed run gives the same result as an uninterrupted one.

    Args:
        patterns: Shell patterns of parameter names within the network, e.g. `encoder.*`.
        until_epoch: The first epoch (from 0) that trains the parameters again; None keeps them frozen.
    """

    @in_range
    def __init__(self, patterns: Sequence[str], until_epoch: NonNegativeInt | None) -> None:
        self.patterns = list(patterns)
        self.until_epoch = until_epoch

    def setup(self, trainer: pl.Trainer, pl_module: pl.LightningModule, stage: str) -> None:
        """Freeze before Lightning makes the optimizer and starts distributed training.

        Raises:
            UserError: When a pattern matches nothing, when all parameters would be frozen, or when `until_epoch` is
                used in distributed training, which fixes the set of trained parameters at the start.
        """
        if stage != "fit":
            return
        names = [name for name, _ in _net(pl_module).named_parameters()]
        for pattern in self.patterns:
            if not any(fnmatchcase(name, pattern) for name in names):
                msg = (
                    f"callbacks.freeze.patterns: {pattern!r} matches none of the parameters, which are "
                    f"named e.g. {names[0]}; correct it"
                )
                raise UserError(msg)
        if all(self._matches(name) for name in names):
            msg = f"callbacks.freeze.patterns={self.patterns} freezes the whole network; leave something to train"
            raise UserError(msg)
        if self.until_epoch is not None and trainer.world_size > 1:
            msg = f"callbacks.freeze.until_epoch={self.until_epoch} works in one process only; use trainer.devices=1"
            raise UserError(msg)
        self._set(pl_module, frozen=True)

    def on_train_batch_start(
        self,
        trainer: pl.Trainer,
        pl_module: pl.LightningModule,
        batch: Any,  # noqa: ANN401
        batch_idx: int,
    ) -> None:
        """Freeze or unfreeze before every batch: a run may resume within an epoch, and validation resets the modes."""
        self._set(pl_module, frozen=self.until_epoch is None or trainer.current_epoch < self.until_epoch)

    def _set(self, pl_module: pl.LightningModule, frozen: bool) -> None:
        net = _net(pl_module)
        for name, parameter in net.named_parameters():
            if self._matches(name):
                parameter.requires_grad_(not frozen)
        for norm in self._norms(net):
            norm.train(not frozen)

    def _norms(self, net: nn.Module) -> Iterator[nn.Module]:
        """Layers with running statistics, if all of their own parameters and buffers match."""
        for prefix, module in net.named_modules():
            own = chain(module.named_parameters(prefix, recurse=False), module.named_buffers(prefix, recurse=False))
            if hasattr(module, "running_mean") and all(self._matches(name) for name, _ in own):
                yield module

    def _matches(self, name: str) -> bool:
        return any(fnmatchcase(name, pattern) for pattern in self.patterns)


def _net(pl_module: pl.LightningModule) -> nn.Module:
    net = pl_module.net
    assert isinstance(net, nn.Module)  # true for every SegmentationModule
    return net
