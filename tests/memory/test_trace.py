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


def test_a_convolution_by_onednn_copies_image_and_result_into_blocks_of_channels():
    net = nn.Conv3d(3, 2, 3, padding=1, bias=False, device="meta")
    image = torch.empty(2, 3, 10, 10, 10, device="meta")
    blocked, result = 4 * 2 * 16 * 1000, 4 * 2 * 2 * 1000
    with torch.no_grad():
        assert trace.peak(lambda: net(image)) == blocked + max(blocked, result)
    image.requires_grad_()
    # The gradient of the image, and copies of gradient and image for that of the weights.
    assert _backward(net, image) == 4 * image.numel() + 2 * blocked


def test_a_small_convolution_of_one_image_has_a_matrix_of_columns():
    net = nn.Conv3d(3, 2, 3, padding=1, bias=False, device="meta")
    image = torch.empty(1, 3, 10, 10, 10, device="meta")
    with torch.no_grad():
        assert trace.peak(lambda: net(image)) == 4 * (27 * 3 * 1000 + 2 * 1000)
        point = nn.Conv3d(3, 2, 1, bias=False, device="meta")
        assert trace.peak(lambda: point(image)) == 4 * 2 * 1000


def _backward(net, image):
    result = net(image)
    gradient = torch.empty_like(result)
    return trace.peak(lambda: torch.autograd.backward(result, gradient))


def test_a_gpu_reserves_whole_segments():
    mib = 2**20

    def run():
        first = torch.empty(3 * mib, device="meta", dtype=torch.uint8)  # a segment of 20 MiB
        second = first + 1  # in the same segment
        third = torch.empty(11 * mib, device="meta", dtype=torch.uint8)  # still fits there
        large = torch.empty(21 * mib, device="meta", dtype=torch.uint8)  # 22 MiB
        return first, second, third, large

    assert trace.reserved(run) == (20 + 22) * mib


def test_a_computation_that_depends_on_values_is_an_error():
    with pytest.raises(RuntimeError):
        trace.peak(lambda: torch.empty(3, device="meta").sum().item())
