"""Run a network with PyTorch: as it is on a CPU, in half precision and compiled on a GPU."""

import logging
import shutil
from collections.abc import Sequence
from importlib.util import find_spec

import torch
from torch import Tensor, nn

from segment.errors import reason_of
from segment.inference.engines.converted import noise, relative_difference
from segment.inference.engines.engine import CannotRunError, Engine, ExportedNetwork, Network

log = logging.getLogger(__name__)

HALF_TOLERANCE = 0.05  # of the largest logit; float16 gives less than a hundredth
WORTH_COMPILING = 20  # CTs; compiling takes about a minute, and saves a part of the seconds that a CT takes


class TorchEngine(Engine):
    """PyTorch.

    Args:
        device: The GPU or CPU.
        threads: Number of threads on a CPU.
        cts: Number of CTs of this call.
    """

    name = "torch"

    def __init__(self, device: torch.device, threads: int, cts: int = 1) -> None:
        super().__init__(device, threads)
        self.cts = cts

    def describe(self) -> str:
        """As `Engine.describe`."""
        where = f"on {self.threads} thread{'s' * (self.threads != 1)}"
        if self.device.type == "cuda":
            where = f"on {torch.cuda.get_device_name(self.device)}, in half precision where it agrees"
        return f"torch {torch.__version__} {where}"

    def prepare(self, net: nn.Module, patch_size: Sequence[int]) -> Network:
        """As `Engine.prepare`. On a CPU this is the network itself."""
        if isinstance(net, ExportedNetwork):
            msg = "an exported file holds no network of PyTorch"
            raise CannotRunError(msg)
        if self.device.type != "cuda":
            return net
        example = noise(patch_size).to(self.device)
        network = _compiled(net, example) if self.cts >= WORTH_COMPILING and _can_compile() else net
        return half_precision(net, network, example)


def half_precision(net: nn.Module, network: Network, example: Tensor) -> Network:
    """Run in float16 where the result is finite, and otherwise in float32.

    Args:
        net: The network.
        network: The same, perhaps compiled.
        example: A window (1,1,I,J,K) on which both precisions are compared.

    Returns:
        `net` itself if float16 does not agree with it.
    """

    def run(patches: Tensor) -> Tensor:
        with torch.autocast(patches.device.type, torch.float16):
            logits = network(patches).float()
        # Without normalisation, values can exceed the range of float16.
        return logits if bool(logits.isfinite().all()) else net(patches)

    with torch.inference_mode():
        difference = relative_difference(run(example), net(example))
    if not difference <= HALF_TOLERANCE:
        log.warning("half precision changes logits by %.2g of their range, so full precision is used", difference)
        return net
    return run


def _can_compile() -> bool:
    return find_spec("triton") is not None and any(map(shutil.which, ("gcc", "cc", "clang")))


def _compiled(net: nn.Module, example: Tensor) -> Network:
    """The network compiled for windows of one size; the network itself, with a warning, if that fails."""
    compiled: Network = torch.compile(net, dynamic=False)
    try:
        with torch.inference_mode(), torch.autocast(example.device.type, torch.float16):
            compiled(example)
    except Exception as error:  # the compiler raises errors of many types
        log.warning("the network is not compiled: %s", reason_of(error))
        return net
    return compiled
