from dataclasses import replace

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

    with pytest.raises(UserError, match="the network Odd cannot be converted to ONNX: no such layer; use its"):
        write.network(replace(trained, net=Odd()), description)


def test_an_organ_whose_name_an_exported_file_cannot_have_is_refused(checkpoint):
    """Before the network is converted."""
    trained = replace(load_model(checkpoint), organs=["liver", "Milz/Leber"])
    with pytest.raises(UserError, match=r"segments 'Milz/Leber'; names in exported files begin with .*; use the check"):
        write.describe(trained, checkpoint)
