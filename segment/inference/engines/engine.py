"""What an engine is: it turns a network into a function of windows."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from typing import ClassVar

import torch
from torch import Tensor, nn

Network = Callable[[Tensor], Tensor]  # windows (B,1,I,J,K) → logits (B,C,I,J,K), float32


class CannotRunError(Exception):
    """An engine cannot run a network. The message is the reason, without a full stop."""


class ExportedNetwork(nn.Module):
    """A network in an exported file: bytes of ONNX instead of layers and weights.

    Args:
        model: The ONNX model. It must have been checked: see `segment.exported.graph`.
        patch_size: The only (I,J,K) that it accepts.
    """

    def __init__(self, model: bytes, patch_size: Sequence[int]) -> None:
        super().__init__()
        self.model = model
        self.patch_size = tuple(patch_size)

    def forward(self, patches: Tensor) -> Tensor:
        """Only an engine runs an exported network.

        Raises:
            RuntimeError: Always.
        """
        msg = "an exported network runs in an engine only"
        raise RuntimeError(msg)


class Engine(ABC):
    """Runs networks.

    Args:
        device: Where windows and logits are.
        threads: Number of threads on a CPU.

    Attributes:
        name: Value of the option `engine`.
    """

    name: ClassVar[str]

    def __init__(self, device: torch.device, threads: int) -> None:
        self.device = device
        self.threads = threads

    @abstractmethod
    def describe(self) -> str:
        """Name, version and resources, for example `openvino 2026.4.1 on 2 threads`."""

    @abstractmethod
    def prepare(self, net: nn.Module, patch_size: Sequence[int]) -> Network:
        """A function that computes what `net` computes, on windows of any size that the network accepts.

        Args:
            net: The network, in evaluation mode and on the engine's device.
            patch_size: Windows that will come, (I,J,K); errors are found with these.

        Raises:
            CannotRunError: When the engine does not support the network, or computes something else.
        """
