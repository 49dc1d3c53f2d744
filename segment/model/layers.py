"""The layers from which V-Net is built: blocks of convolutions, ways down and up, the stem and the heads."""

from collections.abc import Sequence

from torch import Tensor, nn

GROUPS = 8  # maximum number of groups in group normalisation; fewer if 8 does not divide the number of channels

Size = tuple[int, int, int]  # along I, J, K
EACH = (1, 1, 1)  # the stride that keeps the grid


class Block(nn.Module):
    """Convolutions of one level. The residual form adds the input before the last activation.

    If the number of channels changes, a 1³ convolution adapts the input. A single input channel is added to all output
    channels, as in the first level of the paper.
    """

    def __init__(
        self, channels_in: int, channels_out: int, count: int, kernel_size: Size, residual: bool, norm: str | None
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


def as_size(edges: int | Sequence[int]) -> Size:
    """One edge length for all axes, or one for each."""
    i, j, k = (edges,) * 3 if isinstance(edges, int) else edges
    return i, j, k


def make_stem(in_channels: int, base_channels: int, stride: Size, residual: bool, norm: str | None) -> nn.Module:
    """The strided convolution through which the image enters level 0; nothing if the stride is 1 along every axis."""
    if stride == EACH:
        return nn.Identity()
    return _with_norm_and_activation(nn.Conv3d(in_channels, base_channels, stride, stride), norm, residual)


def make_down(fine: int, coarse: int, stride: Size, residual: bool, norm: str | None) -> nn.Module:
    """Coarsen the grid: by a strided convolution to the channels of the coarse level, or by max pooling."""
    if residual:
        return _with_norm_and_activation(nn.Conv3d(fine, coarse, stride, stride), norm, residual)
    return nn.MaxPool3d(stride)


def make_up(coarse: int, fine: int, stride: Size, residual: bool, norm: str | None) -> nn.Module:
    """Refine the grid by the same factors, with the channels of the fine level."""
    if residual:
        return _with_norm_and_activation(nn.ConvTranspose3d(coarse, fine, stride, stride), norm, residual)
    # The 1³ convolution and the interpolation commute. In this order the convolution has fewer voxels.
    return nn.Sequential(nn.Conv3d(coarse, fine, 1), _upsample(stride))


def make_head(channels: int, out_channels: int, stem_stride: Size) -> nn.Module:
    """Logits on the image's grid, by interpolation.

    A transposed convolution would have different weights for each of the image voxels of a level-0 voxel. Where two
    classes have similar logits, this gives a checkerboard pattern in the masks: Odena, Dumoulin, Olah, "Deconvolution
    and Checkerboard Artifacts", Distill (2016).
    """
    head = nn.Conv3d(channels, out_channels, 1)
    return head if stem_stride == EACH else nn.Sequential(head, _upsample(stem_stride))


def _conv(channels_in: int, channels_out: int, kernel_size: Size, norm: str | None) -> nn.Module:
    padding = as_size([edge // 2 for edge in kernel_size])
    # Normalisation would remove a bias.
    return nn.Conv3d(channels_in, channels_out, kernel_size, padding=padding, bias=norm is None)


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


def _upsample(factor: Size) -> nn.Module:
    return nn.Upsample(scale_factor=factor, mode="trilinear")
