import pytest
import torch
from torch import nn

from segment.memory import trace


def test_sizes_of_live_tensors_are_added():
    def run():
        first = torch.empty(1000, device="meta")  # 4000 bytes
        second = first + 1  # 8000 together
        del first
        second = second * 2  # 8000 again, then 4000
        return second[:10]  # a view needs no memory

    assert trace.peak(run) == 8000


def test_tensors_kept_for_the_backward_pass_are_counted():
    weight = torch.empty(1000, device="meta", requires_grad=True)

    def run():
        kept = weight.exp()  # autograd keeps the result
        torch.autograd.backward(kept.exp().sum())

    with torch.no_grad():
        without = trace.peak(lambda: weight.exp().exp().sum())
    assert without == 8000
    assert trace.peak(run) >= 12000  # both results and a gradient


def test_copies_of_a_convolution_are_counted():
    net = nn.Conv3d(1, 2, 1, bias=False, device="meta")
    image = torch.empty(1, 1, 10, 10, 10, device="meta")
    with torch.no_grad():
        # The output, and copies of image, weights and output.
        assert trace.peak(lambda: net(image)) == 8000 + (4000 + 8 + 8000)


def test_a_computation_that_depends_on_values_is_an_error():
    with pytest.raises(RuntimeError):
        trace.peak(lambda: torch.empty(3, device="meta").sum().item())
