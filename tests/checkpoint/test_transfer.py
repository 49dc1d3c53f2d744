from functools import partial

import pytest
import torch
from monai.networks.nets import UNet
from torch import nn

from segment.checkpoint.transfer import transfer
from segment.model.vnet import VNet

vnet = partial(VNet, base_channels=4, convolutions=[1, 1, 1], residual=True, norm="instance", stem_stride=2)
deep = partial(vnet, deep_supervision=True)
unet = partial(UNet, spatial_dims=3, in_channels=1, channels=[4, 8], strides=[2], num_res_units=2)
# A head that mixes classes: both axes of its weight run over classes, and so does a bias.
square = partial(
    lambda out_channels: nn.Sequential(
        nn.Conv3d(1, 3, 1), nn.Conv3d(3, out_channels, 1), nn.Conv3d(out_channels, out_channels, 1)
    )
)
ORGANS, ORGANS_BEFORE = ["liver", "aorta", "spleen"], ["spleen", "liver"]


def one_and_other(make, organs=ORGANS, before=ORGANS_BEFORE):
    torch.manual_seed(0)
    return make(out_channels=len(organs) + 1), make(out_channels=len(before) + 1)


@pytest.mark.parametrize("make", [vnet, deep, unet, square])
def test_classes_are_copied_by_name_and_other_tensors_unchanged(make):
    net, other = one_and_other(make)
    fresh = {name: value.clone() for name, value in net.state_dict().items()}
    done = transfer(net, make, ORGANS, other.state_dict(), ORGANS_BEFORE)
    assert (done.share, done.skipped, done.unused) == (1.0, [], [])
    theirs = other.state_dict()
    for name, value in net.state_dict().items():
        if value.shape == theirs[name].shape:
            assert torch.equal(value, theirs[name]), name
    image = torch.randn(1, 1, 16, 16, 16)
    net.eval(), other.eval()
    if make is not unet and make is not square:  # their heads mix classes
        found, expected = net(image), other(image)
        assert torch.allclose(found[:, [0, 1, 3]], expected[:, [0, 2, 1]], atol=1e-6)
    grown = [name for name, value in fresh.items() if value.shape != theirs[name].shape]
    assert grown
    for name in grown:
        axis = next(a for a, (n, m) in enumerate(zip(fresh[name].shape, theirs[name].shape, strict=True)) if n != m)
        now = net.state_dict()[name]
        assert torch.equal(now.select(axis, 2), fresh[name].select(axis, 2))  # aorta keeps its initial values


def test_both_class_axes_of_a_tensor_are_mapped():
    net, other = one_and_other(square)
    transfer(net, square, ORGANS, other.state_dict(), ORGANS_BEFORE)
    weight, theirs = net[2].weight[:, :, 0, 0, 0], other[2].weight[:, :, 0, 0, 0]
    assert torch.equal(weight[[0, 1, 3]][:, [0, 1, 3]], theirs[[0, 2, 1]][:, [0, 2, 1]])


def test_organs_are_matched_by_name_if_their_number_is_equal():
    organs, before = ["liver", "aorta"], ["spleen", "liver"]
    net, other = one_and_other(vnet, organs, before)
    (head, _), (theirs, _) = net.heads[0], other.heads[0]
    fresh = head.bias.clone()
    transfer(net, vnet, organs, other.state_dict(), before)
    assert head.bias.tolist() == [theirs.bias[0], theirs.bias[2], fresh[2]]


def test_tensors_that_do_not_fit_are_listed():
    net, other = one_and_other(partial(deep, kernel_size=3))[0], one_and_other(vnet)[1]
    done = transfer(net, deep, ORGANS, {**other.state_dict(), "extra": torch.zeros(1)}, ORGANS_BEFORE)
    assert done.skipped == ["heads.1.weight (not in the checkpoint)", "heads.1.bias (not in the checkpoint)"]
    assert done.unused == ["extra"]
    wide = partial(vnet, base_channels=8)
    done = transfer(wide(out_channels=4), wide, ORGANS, other.state_dict(), ORGANS_BEFORE)
    assert done.share < 0.1
    assert done.skipped[0] == "stem.0.weight (shape (4, 1, 2, 2, 2) in the checkpoint, (8, 1, 2, 2, 2) in the network)"


def test_transfer_does_not_change_the_random_state():
    net, other = one_and_other(vnet)
    torch.manual_seed(3)
    expected = torch.rand(1)
    torch.manual_seed(3)
    transfer(net, vnet, ORGANS, other.state_dict(), ORGANS_BEFORE)
    assert torch.rand(1) == expected
