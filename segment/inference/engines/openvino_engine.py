"""Run a network with OpenVINO."""

import functools
import sys
import warnings
from collections.abc import Sequence
from importlib import import_module
from types import ModuleType
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from segment.inference.engines.converted import ConvertingEngine, Window, noise
from segment.inference.engines.engine import Network

TRACED = 32  # voxels along each axis of the small window on which a network is traced


def openvino() -> ModuleType:
    """The package, without `openvino_telemetry`, which would report its use to Google Analytics."""
    sys.modules.setdefault("openvino_telemetry", None)  # type: ignore[arg-type]  # None: importing it fails
    return import_module("openvino")


@functools.cache
def core() -> Any:  # noqa: ANN401  # openvino.Core, which is imported later
    """The runtime of this process, which lives as long as the process.

    A runtime sets the stack on which Python's signal handlers run, and restores the former one at its end. Of two that
    end in the order in which they began, the second restores a stack that is gone, and the next signal crashes Python.
    """
    return openvino().Core()


class OpenVinoEngine(ConvertingEngine):
    """OpenVINO on a CPU."""

    name = "openvino"

    def describe(self) -> str:
        """As `Engine.describe`."""
        version = openvino().__version__.partition("-")[0]
        return f"openvino {version} on {self.threads} thread{'s' * (self.threads != 1)}"

    def traced_sizes(self, size: Window) -> Sequence[Window]:
        """As `ConvertingEngine.traced_sizes`: first a small window, because a trace keeps every activation in memory.

        A small window is too small for some networks, and what others do depends on the size of the window.
        """
        small = tuple(min(n, TRACED) for n in size)
        return (size,) if small == size else (small, size)

    def convert(self, net: nn.Module, size: Window, traced: Window) -> Network:
        """As `ConvertingEngine.convert`, without the way through ONNX, which takes seconds."""
        window = noise(traced)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # deprecations inside OpenVINO
            # OpenVINO's own call would trace twice, to compare.
            graph = torch.jit.trace(net, window, check_trace=False)  # type: ignore[no-untyped-call]
            model = openvino().convert_model(graph, example_input=window, input=[1, 1, *size])
        return self._compiled(model)

    def load(self, model: bytes) -> Network:
        """As `ConvertingEngine.load`."""
        return self._compiled(core().read_model(model))

    def _compiled(self, model: Any) -> Network:  # noqa: ANN401  # openvino.Model, which is imported later
        settings = {
            "INFERENCE_NUM_THREADS": self.threads,
            "NUM_STREAMS": 1,
            "PERFORMANCE_HINT": "LATENCY",
            "ENABLE_CPU_PINNING": False,  # another program may use the core that a thread is pinned to
            "INFERENCE_PRECISION_HINT": "f32",  # by default bfloat16 on CPUs that have it
        }
        request = core().compile_model(model, "CPU", settings).create_infer_request()

        def run(window: Tensor) -> Tensor:
            result = request.infer({0: np.ascontiguousarray(window.numpy())}, share_inputs=True)
            return torch.from_numpy(np.array(result[0]))  # a copy: the next window overwrites the result

        return run
