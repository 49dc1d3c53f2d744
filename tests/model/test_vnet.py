import itertools

import pytest
import torch
from torch import nn

from segment.model.vnet import VNet

SMALL = {"out_channels": 5, "base_channels": 4, "convolutions": [1, 2, 2], "residual": True, "norm": "instance"}


def net(**changes) -> VNet:
    torch.manual_seed(0)
    return VNet(**(SMALL | changes))


@pytest.mark.parametrize(
    ("residual", "norm", "stem_stride", "decoder_width"),
    list(itertools.product([True, False], ["batch", "instance", "group", None], [1, 2], [1, 2])),
)
def test_logits_have_the_size_of_the_image(residual, norm, stem_stride, decoder_width):
    model = net(residual=residual, norm=norm, stem_stride=stem_stride, decoder_width=decoder_width)
    assert model(torch.randn(2, 1, 16, 24, 32)).shape == (2, 5, 16, 24, 32)


@pytest.mark.parametrize("stem_stride", [2, 3, 4])
def test_the_head_makes_no_checkerboard_pattern(stem_stride):
    # A constant input gives a constant output, and a ramp gives a ramp.
    head = net(stem_stride=stem_stride).heads[0]
    size = (5, 6, 7)
    constant = torch.randn(1, 4, 1, 1, 1).expand(1, 4, *size)
    logits = head(constant)
    assert logits.shape == (1, 5, *(stem_stride * n for n in size))
    torch.testing.assert_close(logits, logits[..., :1, :1, :1].expand_as(logits))
    for axis, n in enumerate(size, start=2):
        ramp = constant + torch.arange(n).reshape([n if a == axis else 1 for a in range(5)])
        border = stem_stride // 2  # at the border, interpolation repeats the nearest value
        steps = head(ramp).diff(dim=axis).narrow(axis, border, stem_stride * (n - 1) - 1)
        torch.testing.assert_close(steps, steps[..., :1, :1, :1].expand_as(steps), atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("levels", [2, 3, 4, 5])
def test_any_number_of_levels_with_limited_channels(levels):
    model = net(convolutions=[1] * levels, max_channels=8)
    assert len(model.down) == levels - 1
    widths = [block.layers[0].out_channels for block in model.encoder]
    assert widths == [4, *[8] * (levels - 1)]
    size = 2**levels  # two voxels at the bottom
    assert model(torch.randn(1, 1, size, size, size)).shape[2:] == (size, size, size)


@pytest.mark.parametrize("residual", [True, False])
@pytest.mark.parametrize("stem_stride", [1, 2])
def test_every_parameter_gets_a_gradient(residual, stem_stride):
    model = net(residual=residual, stem_stride=stem_stride, deep_supervision=True, convolutions=[1, 1, 1, 1])
    outputs = model(torch.randn(2, 1, 32, 32, 32))
    sum((output**2).mean() for output in outputs).backward()
    idle = [name for name, p in model.named_parameters() if p.grad is None or not p.grad.abs().sum() > 0]
    assert idle == []


def test_deep_supervision_returns_all_resolutions_in_training_mode_only():
    model = net(convolutions=[1, 1, 1, 1], deep_supervision=True)
    image = torch.randn(1, 1, 32, 32, 48)
    assert [tuple(logits.shape[1:]) for logits in model(image)] == [(5, 32, 32, 48), (5, 16, 16, 24), (5, 8, 8, 12)]
    model.eval()
    assert model(image).shape == (1, 5, 32, 32, 48)


def test_the_configuration_of_the_paper_matches_its_figure():
    # Figure 2 and table 1 of arXiv 1606.04797: 5³ kernels, 16 to 256 channels down, 256 to 32 up.
    model = net(
        base_channels=16, convolutions=[1, 2, 3, 3, 3], norm=None, kernel_size=5, decoder_width=2, out_channels=2
    )
    convolutions = [[layer for layer in block.layers if isinstance(layer, nn.Conv3d)] for block in model.encoder]
    assert [len(block) for block in convolutions] == [1, 2, 3, 3, 3]
    assert [block[-1].out_channels for block in convolutions] == [16, 32, 64, 128, 256]
    decoder = [[layer for layer in block.layers if isinstance(layer, nn.Conv3d)] for block in model.decoder]
    assert [len(block) for block in decoder] == [1, 2, 3, 3]
    assert [block[-1].out_channels for block in decoder] == [32, 64, 128, 256]
    assert {layer.kernel_size for block in (*convolutions, *decoder) for layer in block} == {(5, 5, 5)}
    assert [isinstance(module, nn.PReLU) for module in model.modules()].count(True) == 12 + 9 + 4 + 4
    assert not [module for module in model.modules() if isinstance(module, nn.modules.batchnorm._NormBase)]


def test_the_plain_form_pools_and_interpolates():
    model = net(residual=False, norm="batch")
    kinds = {type(module) for module in model.modules()}
    assert {nn.MaxPool3d, nn.Upsample, nn.BatchNorm3d, nn.ReLU} <= kinds
    assert not {nn.ConvTranspose3d, nn.PReLU} & kinds


@pytest.mark.parametrize("residual", [True, False])
@pytest.mark.parametrize("stem_stride", [1, (2, 2, 1)])
def test_strides_and_kernels_may_differ_between_axes(residual, stem_stride):
    model = net(
        residual=residual,
        stem_stride=stem_stride,
        strides=[(2, 2, 1), (2, 1, 2)],
        kernel_size=[(3, 3, 1), (3, 3, 3), (1, 3, 3)],
        deep_supervision=True,
    )
    sizes = [tuple(logits.shape[2:]) for logits in model(torch.randn(1, 1, 32, 16, 6))]
    first = (32, 16, 6)
    second = (16, 8, 6) if stem_stride == 1 else (8, 4, 6)
    assert sizes == [first, second]
    kernels = [block.layers[0].kernel_size for block in model.encoder]
    assert kernels == [(3, 3, 1), (3, 3, 3), (1, 3, 3)]
    # The decoder's block of a level has the kernels of that level.
    assert [block.layers[0].kernel_size for block in model.decoder] == kernels[:-1]


@pytest.mark.parametrize("residual", [True, False])
@pytest.mark.parametrize("stem_stride", [1, 2])
def test_strides_of_two_and_equal_kernels_are_the_network_without_them(residual, stem_stride):
    cubes = {"strides": [(2, 2, 2)] * 2, "kernel_size": [(3, 3, 3)] * 3, "stem_stride": (stem_stride,) * 3}
    plain = net(residual=residual, stem_stride=stem_stride)
    written_out = net(residual=residual, **cubes)
    assert list(plain.state_dict()) == list(written_out.state_dict())
    image = torch.randn(1, 1, 16, 16, 16)
    assert torch.equal(plain(image), written_out(image))


def test_slices_that_are_not_strided_do_not_mix():
    # Kernels of 1 and strides of 1 along K: each slice is segmented on its own.
    model = net(norm=None, strides=[(2, 2, 1)] * 2, kernel_size=[(3, 3, 1)] * 3).eval()
    image = torch.randn(1, 1, 16, 16, 4)
    torch.testing.assert_close(model(image)[..., 1:2], model(image[..., 1:2]))


def test_a_residual_block_with_zero_convolutions_is_the_identity():
    block = net(norm=None).encoder[1]
    for layer in block.layers:
        if isinstance(layer, nn.Conv3d):
            nn.init.zeros_(layer.weight)
            nn.init.zeros_(layer.bias)
    features = torch.rand(1, 8, 4, 4, 4)
    torch.testing.assert_close(block(features), features)


def test_group_norm_works_with_any_number_of_channels():
    model = net(base_channels=6, norm="group")
    groups = {module.num_groups for module in model.modules() if isinstance(module, nn.GroupNorm)}
    assert groups == {6, 8}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"convolutions": [2]}, r"at least two levels, got \[2\]"),
        ({"convolutions": [2, 0]}, "each item a whole number of at least 1"),
        ({"kernel_size": 4}, "kernel_size must be odd.*got 4"),
        ({"kernel_size": [(3, 3, 2)] * 3}, r"must be odd.*got \[\[3, 3, 2\], "),
        ({"kernel_size": [(3, 3, 1)]}, r"one triple for each of the 3 levels, got \[\[3, 3, 1\]\]"),
        ({"strides": [(2, 2, 1)]}, r"one triple for each of the 3 levels but the finest, got \[\[2, 2, 1\]\]"),
        ({"strides": [(2, 2, 0), (2, 2, 2)]}, "each a whole number of at least 1"),
        ({"norm": "layer"}, "batch or instance or group or null, got layer"),
    ],
)
def test_invalid_arguments_are_refused(changes, message):
    with pytest.raises(ValueError, match=message):
        net(**changes)
