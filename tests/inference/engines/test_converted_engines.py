"""Networks of ONNX Runtime and OpenVINO compute what PyTorch computes."""

import copy
import subprocess
import sys
from importlib.util import find_spec

import pytest
import torch
from torch import nn

from segment.errors import UserError
from segment.inference.engines.converted import KEPT, BySize, ConvertingEngine, _one_size
from segment.inference.engines.engine import CannotRunError
from segment.inference.engines.onnx_engine import OnnxEngine
from segment.inference.engines.openvino_engine import TRACED, OpenVinoEngine
from segment.model.vnet import VNet

CPU = torch.device("cpu")
SIZE = (16, 16, 8)


@pytest.fixture(scope="module")
def net():
    """All kinds of layers of the default network: strided, transposed, instance normalisation, PReLU, interpolation."""
    torch.manual_seed(0)
    return VNet(3, base_channels=4, convolutions=[1, 2], residual=True, norm="instance", stem_stride=2).eval()


def windows(count, size=SIZE):
    return torch.randn(count, 1, *size, generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize("kind", [OnnxEngine, OpenVinoEngine])
def test_logits_equal_those_of_torch(net, kind):
    pytest.importorskip("onnxruntime" if kind is OnnxEngine else "openvino")
    engine = kind(CPU, 1)
    network = engine.prepare(net, SIZE)
    batch = windows(2)
    with torch.inference_mode():  # as in prediction
        logits = network(batch)
        torch.testing.assert_close(logits, net(batch), rtol=1e-3, atol=1e-3)
        first = logits.clone()
        network(windows(1) + 1)
        assert torch.equal(logits, first)  # a later window must not overwrite it
        copy.deepcopy(net)  # converting has left nothing in the network that cannot be copied
    assert engine.describe().endswith("on 1 thread")


def test_openvino_takes_windows_of_any_size(net):
    pytest.importorskip("openvino")
    network = OpenVinoEngine(CPU, 1).prepare(net, SIZE)
    larger = windows(1, (8, 24, 16))
    with torch.inference_mode():
        torch.testing.assert_close(network(larger), net(larger), rtol=1e-3, atol=1e-3)


class AddsItsLength(nn.Module):
    """A trace records the length of the traced window as a constant."""

    def forward(self, image):
        return image + int(image.shape[2])


class AddsLittle(nn.Module):
    """As `AddsItsLength`, with an effect of less than a hundredth."""

    def forward(self, image):
        return image + 0.002 * int(image.shape[2])


class NeedsLength(nn.Module):
    def forward(self, image):
        if image.shape[2] <= TRACED:
            msg = "too short"
            raise ValueError(msg)
        return 2 * image


@pytest.mark.parametrize("kind", [AddsItsLength, AddsLittle, NeedsLength])
def test_a_network_that_cannot_be_traced_on_a_small_window_is_traced_on_a_whole_one(kind):
    pytest.importorskip("openvino")
    size = (TRACED + 8, 8, 8)
    network = OpenVinoEngine(CPU, 1).prepare(kind().eval(), size)
    window = windows(1, size)
    torch.testing.assert_close(network(window), kind()(window))


def test_openvino_does_not_report_its_use():
    if find_spec("openvino") is None:
        pytest.skip("OpenVINO is not installed")
    # A process of its own: other tests may have imported OpenVINO in this one.
    code = """
import sys
from segment.inference.engines.openvino_engine import openvino
openvino()
assert sys.modules["openvino_telemetry"] is None
from openvino.tools.ovc import telemetry_utils
assert telemetry_utils.tm.__name__ == "openvino.tools.ovc.telemetry_stub"
"""
    subprocess.run([sys.executable, "-c", code], check=True)


def test_signals_are_handled_after_networks_of_openvino_are_dropped():
    """They were not: each network had a runtime of its own, see `core`."""
    pytest.importorskip("openvino")
    code = """
import gc, os, signal, torch
from segment.inference.engines.openvino_engine import OpenVinoEngine
signal.signal(signal.SIGUSR1, lambda *_: print("handled", flush=True))
net = torch.nn.Conv3d(1, 2, 3, padding=1).eval()
networks = [OpenVinoEngine(torch.device("cpu"), 1).prepare(net, (8, 8, size)) for size in (8, 16)]
while networks:
    del networks[0]
    gc.collect()
    os.kill(os.getpid(), signal.SIGUSR1)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "handled\nhandled\n"), done.stderr


class Faulty(ConvertingEngine):
    """Multiplies the logits."""

    name = "faulty"
    factor = 1.0

    def describe(self):
        return self.name

    def convert(self, net, size, traced):
        return lambda patch: self.factor * net(patch)

    def load(self, model):
        raise AssertionError


@pytest.mark.parametrize("factor", [1.02, float("nan"), float("inf")])
def test_a_network_that_computes_something_else_is_refused(net, factor):
    engine = Faulty(CPU, 1)
    engine.factor = factor
    with pytest.raises(CannotRunError, match="its logits differ from PyTorch's by "):
        engine.prepare(net, SIZE)
    engine.factor = 1.001
    assert engine.prepare(net, SIZE)(windows(3)).shape == (3, 3, *SIZE)


def test_the_reason_of_a_converter_is_kept_in_one_line():
    class Odd(nn.Module):
        def forward(self, image):
            msg = "no\nsuch layer"
            raise RuntimeError(msg)

    with pytest.raises(CannotRunError, match=r"^no such layer$"):
        Faulty(CPU, 1).prepare(Odd(), SIZE)


def test_an_exported_network_takes_windows_of_its_size_only():
    network = _one_size(lambda patch: patch, SIZE)
    with pytest.raises(UserError, match=r"takes windows of \[16, 16, 8\] voxels, got \[8, 8, 8\]; use its checkpoint"):
        network(windows(1, (8, 8, 8)))


def test_a_later_size_that_cannot_be_converted_is_an_error_of_that_ct():
    def convert(size):
        msg = "no such size"
        raise CannotRunError(msg)

    with pytest.raises(UserError, match=r"on windows of \[16, 16, 8\] voxels: no such size; use engine=torch"):
        BySize(convert)(windows(1))


def test_networks_of_the_last_sizes_are_kept():
    made = []
    by_size = BySize(lambda size: made.append(size) or (lambda patch: patch))
    for number in range(KEPT + 1):
        by_size(windows(1, (8, 8, number + 1)))
        by_size(windows(1, (8, 8, 1)))
    assert made == [(8, 8, number + 1) for number in range(KEPT + 1)]
    by_size(windows(1, (8, 8, 2)))  # the least recently used one was dropped
    assert made[-1] == (8, 8, 2)
