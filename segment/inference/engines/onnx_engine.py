"""Run a network with ONNX Runtime."""

import numpy as np
import torch
from torch import Tensor, nn

from segment.inference.engines.converted import ConvertingEngine, Window, noise
from segment.inference.engines.engine import Network
from segment.inference.engines.to_onnx import INPUT, to_onnx


class OnnxEngine(ConvertingEngine):
    """ONNX Runtime on a CPU."""

    name = "onnx"

    def describe(self) -> str:
        """As `Engine.describe`."""
        import onnxruntime

        return f"onnxruntime {onnxruntime.__version__} on {self.threads} thread{'s' * (self.threads != 1)}"

    def convert(self, net: nn.Module, size: Window, traced: Window) -> Network:
        """As `ConvertingEngine.convert`; the exporter computes with shapes only."""
        return self.load(to_onnx(net, noise(size)))

    def load(self, model: bytes) -> Network:
        """As `ConvertingEngine.load`."""
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = self.threads  # by default one for each core of the machine
        options.inter_op_num_threads = 1
        options.log_severity_level = 3  # errors
        # Idle threads would spin and take cores from other programs; see `segment.runtime.machine`.
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])

        def run(patch: Tensor) -> Tensor:
            (logits,) = session.run(None, {INPUT: np.ascontiguousarray(patch.numpy())})
            return torch.from_numpy(logits)

        return run
