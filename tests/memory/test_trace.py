import pytest
import torch
from torch import nn

from segment.memory import trace


def test_live_tensors_are_added_up_by_hand():
    def run():
        first = torch.empty(1000, device="meta")  # 4000 bytes
        second = first + 1  # 8000 together
        del first
        second = second * 2  # 8000 again, then 4000
        return second[:10]  # a view takes nothing

    assert trace.peak(run) == 8000


def test_what_a_backward_pass_needs_is_kept():
    weight = torch.empty(1000, device="meta", requires_grad=True)

    def run():
        kept = weight.exp()  # its result is kept for the gradient
        torch.autograd.backward(kept.exp().sum())

    with torch.no_grad():
        without = trace.peak(lambda: weight.exp().exp().sum())
    assert without == 8000
    assert trace.peak(run) >= 12000  # both results, and a gradient


def test_a_convolution_counts_its_copies():
    net = nn.Conv3d(1, 2, 1, bias=False, device="meta")
    image = torch.empty(1, 1, 10, 10, 10, device="meta")
    with torch.no_grad():
        assert trace.peak(lambda: net(image)) == 8000 + (4000 + 8 + 8000)  # the result, and copies of all that is in it


def test_what_depends_on_values_is_refused():
    with pytest.raises(RuntimeError):
        trace.peak(lambda: torch.empty(3, device="meta").sum().item())
