import pytest
import torch

from segment.checkpoint.load import load_model
from segment.errors import UserError
from segment.exported import write

pytest.importorskip("onnxscript")


def test_a_network_that_cannot_be_converted_is_refused(checkpoint):
    trained = load_model(checkpoint)
    description = write.describe(trained, checkpoint)

    class Odd(torch.nn.Module):
        def forward(self, image):
            msg = "no\nsuch layer"
            raise RuntimeError(msg)

    trained.module.net = Odd()
    with pytest.raises(UserError, match="the network Odd cannot be converted to ONNX: no such layer; use its"):
        write.network(trained, description)
