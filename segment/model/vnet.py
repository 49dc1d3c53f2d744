"""V-Net: an encoder and a decoder of 3D convolutions, joined at every resolution.

Residual form: Milletari, Navab, Ahmadi, "V-Net: Fully Convolutional Neural Networks for Volumetric Medical Image
Segmentation" (2016), arXiv 1606.04797, figure 2. Plain form: convolution, normalisation, ReLU, max pooling down and
up-sampling, in the manner of Çiçek et al., "3D U-Net" (2016), arXiv 1606.06650.
"""

from collections.abc import Sequence
from typing import Literal

import torch
from torch import Tensor, nn

from segment.bounds import PositiveInt, Voxels, in_range
from segment.model.layers import EACH, Block, Size, as_size, make_down, make_head, make_stem, make_up


class VNet(nn.Module):
    """Map an image to logits of the same size.

    With deep supervision and in training mode, the output is a list of logits, the finest first. Level 0 has the finest
    grid. Each further level has a coarser grid and twice the channels, up to `max_channels`.

    Args:
        out_channels: Classes with background.
        in_channels: Channels of the image.
        base_channels: Channels of level 0.
        max_channels: Upper limit for the channels of a level; None: no limit.
        convolutions: Number of convolutions in the block of each level, the finest first; at least two levels. The
            decoder has the same numbers.
        kernel_size: Edge length of the kernels of these convolutions, odd; or for each level its lengths along I, J, K,
            for example (3, 3, 1) on a grid with thick slices.
        strides: For each level but the finest, how many times coarser its grid is than that of the level before it,
            along I, J, K. For example, (2, 2, 1) keeps the slices. None: 2 along every axis.
        residual: If true, blocks add their input to their output and use PReLU; strided convolutions go down,
            transposed ones go up. If false, blocks use ReLU; max pooling goes down, a 1³ convolution and trilinear
            interpolation go up.
        norm: `batch`, `instance` or `group` normalisation after every convolution; None: none, as in the paper.
        decoder_width: Channels of a decoder block as a multiple of the channels of its level. 2 in the paper; 1 is
            cheaper.
        stem_stride: Edge length of a voxel of level 0 in image voxels, or its lengths along I, J, K. Above 1, the image
            enters through a strided convolution and the logits are interpolated, which saves most of the time for large
            patches.
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
        kernel_size: PositiveInt | Sequence[Voxels] = 3,
        decoder_width: PositiveInt = 1,
        stem_stride: PositiveInt | Voxels = 1,
        deep_supervision: bool = False,
        strides: Sequence[Voxels] | None = None,
    ) -> None:
        super().__init__()
        _check_levels(convolutions, kernel_size, strides)
        self.deep_supervision = deep_supervision
        levels = len(convolutions)
        widths = _widths(levels, base_channels, max_channels)
        # Channels that each level passes to the next finer one.
        wide = [decoder_width * width for width in widths[:-1]] + widths[-1:]
        steps = [as_size(2)] * (levels - 1) if strides is None else [as_size(step) for step in strides]
        stem_step = as_size(stem_stride)

        def block(channels_in: int, channels_out: int, level: int) -> nn.Module:
            edges = as_size(kernel_size if isinstance(kernel_size, int) else kernel_size[level])
            return Block(channels_in, channels_out, convolutions[level], edges, residual, norm)

        self.stem = make_stem(in_channels, base_channels, stem_step, residual, norm)
        first = in_channels if stem_step == EACH else base_channels
        self.encoder = nn.ModuleList([block(first, widths[0], 0)])
        self.down = nn.ModuleList()
        self.up = nn.ModuleList()
        self.decoder = nn.ModuleList()
        for level, step in enumerate(steps, start=1):
            fine, coarse = widths[level - 1], widths[level]
            self.down.append(make_down(fine, coarse, step, residual, norm))
            self.encoder.append(block(coarse if residual else fine, coarse, level))
            self.up.append(make_up(wide[level], fine, step, residual, norm))
            self.decoder.append(block(2 * fine, wide[level - 1], level - 1))
        self.heads = nn.ModuleList([make_head(wide[0], out_channels, stem_step)])
        if deep_supervision:
            self.heads.extend(nn.Conv3d(wide[level], out_channels, 1) for level in range(1, levels - 1))

    def forward(self, image: Tensor) -> Tensor | list[Tensor]:
        """Map an image (B,in_channels,I,J,K) to logits (B,out_channels,I,J,K).

        I, J and K must be multiples of the product of all strides along their axis, that of the stem included. With
        deep supervision, the coarser logits have the grids of their levels.
        """
        x = self.encoder[0](self.stem(image))  # (B, base_channels, I/s, J/s, K/s) with the stem's stride s
        skips = []
        for down, encode in zip(self.down, self.encoder[1:], strict=True):
            skips.append(x)
            x = encode(down(x))  # twice the channels, a coarser grid
        outputs = []
        for level in reversed(range(len(skips))):
            x = torch.cat([self.up[level](x), skips.pop()], dim=1)  # (B, 2 × the level's channels, …)
            x = self.decoder[level](x)
            outputs.append(x)
        if self.deep_supervision and self.training:
            return [head(features) for head, features in zip(self.heads, reversed(outputs), strict=False)]
        logits: Tensor = self.heads[0](x)
        return logits


def _widths(levels: int, base_channels: int, max_channels: int | None) -> list[int]:
    """Channels of every level, the finest first."""
    widths = []
    for level in range(levels):
        width = base_channels * 2**level
        widths.append(width if max_channels is None else min(width, max_channels))
    return widths


def _check_levels(
    convolutions: Sequence[int], kernel_size: int | Sequence[Size], strides: Sequence[Size] | None
) -> None:
    levels = len(convolutions)
    if levels < 2:
        msg = f"convolutions needs one number per level for at least two levels, got {list(convolutions)}"
        raise ValueError(msg)
    kernels = [as_size(kernel_size)] * levels if isinstance(kernel_size, int) else kernel_size
    if any(edge % 2 == 0 for edges in kernels for edge in edges):
        msg = f"kernel_size must be odd, or the grid would change size; got {_plain(kernel_size)}"
        raise ValueError(msg)
    if len(kernels) != levels:
        msg = f"kernel_size needs one triple for each of the {levels} levels, got {_plain(kernel_size)}"
        raise ValueError(msg)
    if strides is not None and len(strides) != levels - 1:
        msg = f"strides needs one triple for each of the {levels} levels but the finest, got {_plain(strides)}"
        raise ValueError(msg)


def _plain(sizes: int | Sequence[Size]) -> int | list[list[int]]:
    return sizes if isinstance(sizes, int) else [list(size) for size in sizes]
