"""V-Net: an encoder and a decoder of 3D convolutions, joined at every resolution.

Residual form: Milletari, Navab, Ahmadi, "V-Net: Fully Convolutional Neural Networks for Volumetric Medical Image
Segmentation" (2016), arXiv 1606.04797, figure 2. Plain form: convolution, normalisation, ReLU, max pooling down and
up-sampling, in the manner of Çiçek et al., "3D U-Net" (2016), arXiv 1606.06650.
"""

from collections.abc import Sequence
from typing import Literal

import torch
from torch import Tensor, nn

from segment.bounds import PositiveInt, in_range

GROUPS = 8  # maximum number of groups in group normalisation; fewer if 8 does not divide the number of channels


class VNet(nn.Module):
    """Map an image to logits of the same size.

    With deep supervision and in training mode, the output is a list of logits, the finest first. Level 0 has the finest
    grid. Each further level has half the resolution and twice the channels, up to `max_channels`.

    Args:
        out_channels: Classes with background.
        in_channels: Channels of the image.
        base_channels: Channels of level 0.
        max_channels: Upper limit for the channels of a level; None: no limit.
        convolutions: Number of convolutions in the block of each level, the finest first; at least two levels. The
            decoder has the same numbers.
        kernel_size: Edge length of the kernels of these convolutions, odd.
        residual: If true, blocks add their input to their output and use PReLU; 2³ convolutions with stride 2 go down,
            transposed ones go up. If false, blocks use ReLU; max pooling goes down, a 1³ convolution and trilinear
            interpolation go up.
        norm: `batch`, `instance` or `group` normalisation after every convolution; None: none, as in the paper.
        decoder_width: Channels of a decoder block as a multiple of the channels of its level. 2 in the paper; 1 is
            cheaper.
        stem_stride: Edge length of a voxel of level 0 in image voxels. Above 1, the image enters through a strided
            convolution and the logits are interpolated, which saves most of the time for large patches.
        deep_supervision: Whether every decoder level except the coarsest returns logits in training mode.

    Raises:
        ValueError: When an argument is out of its range.
    """

    @in_range
    def __init__(
        self,
        out_channels: PositiveInt,
        base_channels: PositiveInt,
        convolutions: Sequence[PositiveInt],
        residual: bool,
        norm: Literal["batch", "instance", "group"] | None,
        in_channels: PositiveInt = 1,
        max_channels: PositiveInt | None = None,
        kernel_size: PositiveInt = 3,
        decoder_width: PositiveInt = 1,
        stem_stride: PositiveInt = 1,
        deep_supervision: bool = False,
    ) -> None:
        super().__init__()
        _check(convolutions, kernel_size)
        self.deep_supervision = deep_supervision
        levels = len(convolutions)
        widths = _widths(levels, base_channels, max_channels)
        # Channels that each level passes to the next finer one.
        wide = [decoder_width * width for width in widths[:-1]] + widths[-1:]

        def block(channels_in: int, channels_out: int, count: int) -> nn.Module:
            return Block(channels_in, channels_out, count, kernel_size, residual, norm)

        self.stem = _stem(in_channels, base_channels, stem_stride, residual, norm)
        first = in_channels if stem_stride == 1 else base_channels
        self.encoder = nn.ModuleList([block(first, widths[0], convolutions[0])])
        self.down = nn.ModuleList()
        self.up = nn.ModuleList()
        self.decoder = nn.ModuleList()
        for level in range(1, levels):
            fine, coarse = widths[level - 1], widths[level]
            self.down.append(_down(fine, coarse, residual, norm))
            self.encoder.append(block(coarse if residual else fine, coarse, convolutions[level]))
            self.up.append(_up(wide[level], fine, residual, norm))
            self.decoder.append(block(2 * fine, wide[level - 1], convolutions[level - 1]))
        self.heads = nn.ModuleList([_head(wide[0], out_channels, stem_stride)])
        if deep_supervision:
            self.heads.extend(nn.Conv3d(wide[level], out_channels, 1) for level in range(1, levels - 1))

    def forward(self, image: Tensor) -> Tensor | list[Tensor]:
        """Map an image (B,in_channels,I,J,K) to logits (B,out_channels,I,J,K).

        I, J and K must be multiples of `stem_stride` · 2^(levels - 1). With deep supervision, the coarser logits have
        the grids of their levels.
        """
        x = self.encoder[0](self.stem(image))  # (B, base_channels, I/s, J/s, K/s) with the stem's stride s
        skips = []
        for down, encode in zip(self.down, self.encoder[1:], strict=True):
            skips.append(x)
            x = encode(down(x))  # twice the channels, half the resolution
        outputs = []
        for level in reversed(range(len(skips))):
            x = torch.cat([self.up[level](x), skips.pop()], dim=1)  # (B, 2 × the level's channels, …)
            x = self.decoder[level](x)
            outputs.append(x)
        if self.deep_supervision and self.training:
            return [head(features) for head, features in zip(self.heads, reversed(outputs), strict=False)]
        logits: Tensor = self.heads[0](x)
        return logits


class Block(nn.Module):
    """Convolutions of one level. The residual form adds the input before the last activation.

    If the number of channels changes, a 1³ convolution adapts the input. A single input channel is added to all output
    channels, as in the first level of the paper.
    """

    def __init__(
        self, channels_in: int, channels_out: int, count: int, kernel_size: int, residual: bool, norm: str | None
    ) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        for index in range(count):
            source = channels_in if index == 0 else channels_out
            layers += [_conv(source, channels_out, kernel_size, norm), *_norm(norm, channels_out)]
            if index < count - 1 or not residual:
                layers.append(_activation(channels_out, residual))
        self.layers = nn.Sequential(*layers)
        self.residual = residual
        if residual:
            same = channels_in in (1, channels_out)
            self.shortcut = nn.Identity() if same else nn.Conv3d(channels_in, channels_out, 1)
            self.activation = _activation(channels_out, residual)

    def forward(self, x: Tensor) -> Tensor:
        """(B,channels_in,I,J,K) to (B,channels_out,I,J,K)."""
        result: Tensor = self.layers(x)
        if self.residual:
            result = self.activation(result + self.shortcut(x))
        return result


def _widths(levels: int, base_channels: int, max_channels: int | None) -> list[int]:
    """Channels of every level, the finest first."""
    widths = []
    for level in range(levels):
        width = base_channels * 2**level
        widths.append(width if max_channels is None else min(width, max_channels))
    return widths


def _stem(in_channels: int, base_channels: int, stride: int, residual: bool, norm: str | None) -> nn.Module:
    """The strided convolution through which the image enters level 0; nothing if the stride is 1."""
    if stride == 1:
        return nn.Identity()
    return _with_norm_and_activation(nn.Conv3d(in_channels, base_channels, stride, stride), norm, residual)


def _conv(channels_in: int, channels_out: int, kernel_size: int, norm: str | None) -> nn.Module:
    # Normalisation would remove a bias.
    return nn.Conv3d(channels_in, channels_out, kernel_size, padding=kernel_size // 2, bias=norm is None)


def _norm(norm: str | None, channels: int) -> list[nn.Module]:
    if norm == "batch":
        return [nn.BatchNorm3d(channels)]
    if norm == "instance":
        return [nn.InstanceNorm3d(channels, affine=True)]
    if norm == "group":
        groups = max(n for n in range(1, GROUPS + 1) if channels % n == 0)
        return [nn.GroupNorm(groups, channels)]
    return []


def _activation(channels: int, residual: bool) -> nn.Module:
    return nn.PReLU(channels) if residual else nn.ReLU(inplace=True)


def _with_norm_and_activation(conv: nn.Conv3d | nn.ConvTranspose3d, norm: str | None, residual: bool) -> nn.Sequential:
    return nn.Sequential(conv, *_norm(norm, conv.out_channels), _activation(conv.out_channels, residual))


def _down(fine: int, coarse: int, residual: bool, norm: str | None) -> nn.Module:
    """Halve the resolution: by a strided convolution to the channels of the coarse level, or by max pooling."""
    if residual:
        return _with_norm_and_activation(nn.Conv3d(fine, coarse, 2, 2), norm, residual)
    return nn.MaxPool3d(2)


def _up(coarse: int, fine: int, residual: bool, norm: str | None) -> nn.Module:
    """Double the resolution, with the channels of the fine level."""
    if residual:
        return _with_norm_and_activation(nn.ConvTranspose3d(coarse, fine, 2, 2), norm, residual)
    # The 1³ convolution and the interpolation commute. In this order the convolution has an eighth of the voxels.
    return nn.Sequential(nn.Conv3d(coarse, fine, 1), _upsample(2))


def _head(channels: int, out_channels: int, stem_stride: int) -> nn.Module:
    """Logits on the image's grid, by interpolation.

    A transposed convolution would have different weights for each of the stem_stride³ image voxels of a level-0 voxel.
    Where two classes have similar logits, this gives a checkerboard pattern in the masks: Odena, Dumoulin, Olah,
    "Deconvolution and Checkerboard Artifacts", Distill (2016).
    """
    head = nn.Conv3d(channels, out_channels, 1)
    return head if stem_stride == 1 else nn.Sequential(head, _upsample(stem_stride))


def _upsample(factor: int) -> nn.Module:
    return nn.Upsample(scale_factor=factor, mode="trilinear")


def _check(convolutions: Sequence[int], kernel_size: int) -> None:
    if len(convolutions) < 2:
        msg = f"convolutions needs one number per level for at least two levels, got {list(convolutions)}"
        raise ValueError(msg)
    if kernel_size % 2 == 0:
        msg = f"kernel_size must be odd, or the grid would change size; got {kernel_size}"
        raise ValueError(msg)
