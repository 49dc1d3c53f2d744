import pytest
import torch
from torch import nn

from segment.errors import UserError
from segment.inference.engines import choose as module
from segment.inference.engines import cost
from segment.inference.engines.choose import Choice, choose
from segment.inference.engines.converted import ConvertingEngine
from segment.inference.engines.engine import CannotRunError, Engine, ExportedNetwork
from segment.inference.engines.onnx_engine import OnnxEngine
from segment.inference.engines.openvino_engine import OpenVinoEngine
from segment.inference.engines.torch_engine import TorchEngine
from segment.inference.segmenter import Segmenter
from segment.inference.sliding_window import SlidingWindow

CPU, GPU = torch.device("cpu"), torch.device("cuda")


@pytest.fixture
def installed(monkeypatch):
    """Pretend that only these packages are installed."""

    def pretend(*packages):
        monkeypatch.setattr(module, "find_spec", lambda name: object() if name in packages else None)

    return pretend


def picked(name, device="auto", exported=False, gpu=False):
    found = GPU if gpu and device != "cpu" else CPU
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "find_device", lambda asked: CPU if asked == "cpu" else found)
        return choose(name, device, exported)


@pytest.mark.parametrize(
    ("packages", "engines"),
    [
        (("openvino", "onnx", "onnxruntime", "onnxscript"), (OpenVinoEngine, TorchEngine)),
        (("onnx", "onnxruntime", "onnxscript"), (TorchEngine,)),
        ((), (TorchEngine,)),
    ],
)
def test_auto_takes_the_fastest_installed_engine_of_the_cpu(installed, packages, engines):
    installed(*packages)
    assert picked("auto") == Choice(engines, CPU)


def test_auto_takes_torch_on_a_gpu(installed):
    installed("openvino")
    assert picked("auto", gpu=True) == Choice((TorchEngine,), GPU)


def test_the_other_engines_run_on_the_cpu_of_a_machine_with_a_gpu(installed):
    installed("openvino", "onnx")
    assert picked("openvino", gpu=True) == Choice((OpenVinoEngine,), CPU)
    assert picked("auto", exported=True, gpu=True) == Choice((OpenVinoEngine,), CPU)
    with pytest.raises(UserError, match="engine=openvino runs on CPUs only; use device=cpu, not cuda:1"):
        picked("openvino", device="cuda:1")


@pytest.mark.parametrize(
    ("name", "exported", "packages", "message"),
    [
        ("openvino", False, ("onnx",), r"^engine=openvino needs openvino; install with `pip install openvino`$"),
        ("onnx", False, ("onnx",), r"onnx needs onnxruntime, onnxscript; .*`pip install onnxruntime onnxscript`$"),
        ("auto", True, ("onnxscript",), r"^an exported file needs onnxruntime, onnx; install with `pip install onnx"),
        ("openvino", True, ("openvino",), r"^an exported file needs onnx; install with `pip install onnx`$"),
        ("torch", True, ("onnx",), r"^engine=torch does not run exported files, .* use engine=auto$"),
    ],
)
def test_missing_packages_are_named_with_the_command_that_installs_them(installed, name, exported, packages, message):
    installed(*packages)
    with pytest.raises(UserError, match=message):
        picked(name, exported=exported)


def test_exported_files_need_no_converter(installed):
    installed("onnx", "onnxruntime")
    assert picked("auto", exported=True).engines == (OnnxEngine,)


class Broken(Engine):
    name = "broken"

    def describe(self):
        return "broken"

    def prepare(self, net, patch_size):
        msg = "no such operation"
        raise CannotRunError(msg)


@pytest.fixture
def segmenter():
    return Segmenter(nn.Conv3d(1, 2, 1), None, SlidingWindow((8, 8, 8), 2))


def test_auto_names_the_reason_when_an_engine_cannot_run_a_network(segmenter, caplog):
    engine = Choice((Broken, TorchEngine), CPU).equip([segmenter])
    assert engine.name == "torch"
    assert segmenter.run is segmenter.net
    assert "engine=broken cannot run this network: no such operation; the next engine is used" in caplog.text


def test_an_engine_that_the_user_named_is_not_replaced(segmenter):
    with pytest.raises(
        UserError, match=r"^engine=broken cannot run this network: no such operation; use engine=torch$"
    ):
        Choice((Broken,), CPU).equip([segmenter])
    exported = Segmenter(ExportedNetwork(b"", (8, 8, 8)), None, SlidingWindow((8, 8, 8), 2))
    with pytest.raises(UserError, match=r"engine=torch cannot run .* holds no network of PyTorch; use engine=auto$"):
        Choice((TorchEngine,), CPU).equip([exported])


@pytest.mark.parametrize(("cts", "expected"), [(1, "torch"), (3, "faulty")])
def test_auto_converts_a_network_only_if_that_saves_time(segmenter, monkeypatch, cts, expected):
    class Converting(Broken, ConvertingEngine):
        name = "faulty"
        convert = load = None

        def prepare(self, net, patch_size):
            return net

    monkeypatch.setattr(cost, "WORTH", 3 * cost.operations(segmenter.net, (8, 8, 8)))
    assert Choice((Converting, TorchEngine), CPU).equip([segmenter, segmenter], cts).name == expected
    assert Choice((Converting,), CPU).equip([segmenter], cts).name == "faulty"  # the user named it


def test_operations_are_those_of_the_layers():
    assert cost.operations(nn.Conv3d(1, 3, 2), (9, 9, 9)) == 2 * 8 * 3 * 8**3  # a product and a sum for each weight

    class Odd(nn.Module):
        def forward(self, image):
            return image * float(image.max())

    assert cost.operations(Odd(), (8, 8, 8)) == float("inf")


def test_another_inferer_runs_with_torch_only(segmenter):
    segmenter.inferer = lambda net, image: net(image)
    with pytest.raises(UserError, match=r"its inferer, function, has no patch_size; use engine=torch"):
        Choice((OnnxEngine,), CPU).equip([segmenter])
    assert Choice((TorchEngine,), CPU).equip([segmenter]).name == "torch"


def test_engines_use_the_allowed_threads_only(segmenter, monkeypatch):
    before = torch.get_num_threads()
    try:
        torch.set_num_threads(4)
        monkeypatch.setattr(module, "allowed_cores", lambda: 3)
        engine = Choice((TorchEngine,), CPU).equip([segmenter])
        assert (engine.threads, torch.get_num_threads()) == (3, 3)
        assert engine.describe().endswith("on 3 threads")
    finally:
        torch.set_num_threads(before)
