"""Engines that must convert a network first: one converted network for each size of window."""

import gc
from abc import abstractmethod
from collections import OrderedDict
from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn

from segment.errors import UserError, reason_of
from segment.inference.engines.engine import CannotRunError, Engine, ExportedNetwork, Network
from segment.runtime.machine import release_freed_memory

KEPT = 4  # converted networks in memory at once, each with its own copy of the weights
# Accepted difference from PyTorch, as a share of the largest logit; float32 gives a thousandth at most.
TOLERANCE = 0.01
# Likewise for a network that was traced on another window. What the trace took from that window may change little.
TOLERANCE_OTHER_WINDOW = 0.001

Window = tuple[int, ...]


class ConvertingEngine(Engine):
    """An engine on CPUs that compiles a network for one size of window."""

    def prepare(self, net: nn.Module, patch_size: Sequence[int]) -> Network:
        """As `Engine.prepare`. A network is converted when a new size of window comes, and compared with PyTorch."""
        if isinstance(net, ExportedNetwork):
            return _one_size(self.load(net.model), net.patch_size)
        by_size = BySize(lambda size: self._converted(net, size))
        by_size.get(tuple(patch_size))
        return by_size

    @abstractmethod
    def convert(self, net: nn.Module, size: Window, traced: Window) -> Network:
        """A function of one window (1,1,*size).

        Args:
            net: The network.
            size: (I,J,K).
            traced: Window on which a converter may run the network to record what it does; see `traced_sizes`.
        """

    def traced_sizes(self, size: Window) -> Sequence[Window]:
        """Windows on which to trace a network for windows of a size, to be tried one after the other."""
        return (size,)

    @abstractmethod
    def load(self, model: bytes) -> Network:
        """The same from the bytes of an ONNX model."""

    def _converted(self, net: nn.Module, size: Window) -> Network:
        """A network that was found to compute what PyTorch computes.

        Raises:
            CannotRunError: With the reason of the last try.
        """
        window = noise(size)
        reason = ""
        # Prediction runs in inference mode, whose tensors cannot be traced.
        with torch.inference_mode(False), torch.no_grad():
            try:
                expected = net(window)
            except Exception as error:
                raise CannotRunError(reason_of(error)) from error
            release_freed_memory()  # of PyTorch's pass, which does not run again
            for traced in self.traced_sizes(size):
                try:
                    converted = self.convert(net, size, traced)
                    difference = relative_difference(converted(window), expected)
                except Exception as error:  # converters raise errors of many types
                    reason = reason_of(error)
                    continue
                finally:
                    gc.collect()  # converters leave copies of the weights in cycles
                    release_freed_memory()
                if difference <= (TOLERANCE if traced == size else TOLERANCE_OTHER_WINDOW):
                    return converted
                reason = f"its logits differ from PyTorch's by {difference:.2g} of their range"
        raise CannotRunError(reason)


class BySize:
    """Windows of any size, with a converted network for each of the last few sizes."""

    def __init__(self, convert: Callable[[Window], Network]) -> None:
        self._convert = convert
        self._kept: OrderedDict[Window, Network] = OrderedDict()

    def get(self, size: Window) -> Network:
        """The converted network for windows of (I,J,K) voxels."""
        if size not in self._kept:
            while len(self._kept) >= KEPT:
                self._kept.popitem(last=False)
            self._kept[size] = self._convert(size)
        self._kept.move_to_end(size)
        return self._kept[size]

    def __call__(self, patches: Tensor) -> Tensor:
        """Logits (B,C,I,J,K) of windows (B,1,I,J,K), one after the other: on a CPU, batches are not faster.

        Raises:
            UserError: When the network cannot be converted for this size, while it could for the first one.
        """
        size = tuple(patches.shape[2:])
        try:
            network = self.get(size)
        except CannotRunError as error:
            msg = f"the engine cannot run the network on windows of {list(size)} voxels: {error}; use engine=torch"
            raise UserError(msg) from error
        return one_by_one(network, patches)


def one_by_one(network: Network, patches: Tensor) -> Tensor:
    """Apply a function of one window (1,1,I,J,K) to windows (B,1,I,J,K)."""
    return torch.cat([network(patch[None]) for patch in patches])


def noise(size: Sequence[int]) -> Tensor:
    """A window (1,1,*size) of noise, always the same, to compare networks on."""
    return torch.randn(1, 1, *size, generator=torch.Generator().manual_seed(0))


def relative_difference(logits: Tensor, expected: Tensor) -> float:
    """Largest difference of logits, as a share of the largest expected one; NaN if one of them is not finite."""
    return float((logits - expected).abs().max() / expected.abs().max().clamp(min=1e-6))


def _one_size(network: Network, patch_size: Window) -> Network:
    def run(patches: Tensor) -> Tensor:
        size = tuple(patches.shape[2:])
        if size != patch_size:
            msg = f"the exported file takes windows of {list(patch_size)} voxels, got {list(size)}; use its checkpoint"
            raise UserError(msg)
        return one_by_one(network, patches)

    return run
