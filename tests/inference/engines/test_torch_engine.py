import pytest
import torch
from torch import nn

from segment.inference.engines import torch_engine
from segment.inference.engines.torch_engine import TorchEngine, half_precision

EXAMPLE = torch.randn(1, 1, 8, 8, 8, generator=torch.Generator().manual_seed(0))


@pytest.fixture
def net():
    torch.manual_seed(0)
    return nn.Conv3d(1, 2, 3, padding=1).eval()


def test_on_a_cpu_the_network_runs_as_it_is(net):
    assert TorchEngine(torch.device("cpu"), 1).prepare(net, (8, 8, 8)) is net


@pytest.mark.parametrize("inside_segmenter", [False, True])
def test_half_precision_gives_float32_logits_near_those_of_full_precision(net, inside_segmenter):
    run = half_precision(net, net, EXAMPLE)
    assert run is not net
    with torch.inference_mode(), torch.autocast("cpu", enabled=not inside_segmenter):  # the segmenter turns it off
        logits = run(EXAMPLE)
    with torch.inference_mode():
        expected = net(EXAMPLE)
    assert logits.dtype == torch.float32
    assert not torch.equal(logits, expected)
    torch.testing.assert_close(logits, expected, rtol=0, atol=0.01)


def test_values_beyond_half_precision_are_computed_in_full_precision(net):
    run = half_precision(net, net, EXAMPLE)
    large = EXAMPLE * 1e6
    with torch.inference_mode():
        assert torch.equal(run(large), net(large))


def test_a_network_that_changes_in_half_precision_keeps_full_precision(net, caplog):
    def other(patches):
        return net(patches) * (0.5 if torch.is_autocast_enabled("cpu") else 1)

    assert half_precision(net, other, EXAMPLE) is net
    assert "so full precision is used" in caplog.text


def test_a_network_that_cannot_be_compiled_runs_as_it_is(net, caplog, monkeypatch):
    def fail(*_):
        msg = "no such\ncompiler"
        raise RuntimeError(msg)

    monkeypatch.setattr(torch, "compile", lambda net, dynamic: fail)
    assert torch_engine._compiled(net, EXAMPLE) is net
    assert "the network is not compiled: no such compiler" in caplog.text
