"""A network with the cost of a V-Net that finds painted organs, to time predictions without a trained network."""

import nibabel as nib
import numpy as np
import torch
from torch import Tensor, nn

from segment.model.vnet import VNet

ORGANS_HU = (80, 120, 160, 200)  # of the painted organs, in the order of the classes; everything else is 0 at most
WINDOW_HU, MEAN, STD = (-160, 240), 0.4, 0.3  # as in conf/preprocess/ct.yaml


class Painted(nn.Module):
    """A V-Net with random weights, whose logits are replaced by the distance to the HU of every organ.

    So it takes the time of a trained network, and the organs are where they are in the label map.
    """

    def __init__(self, out_channels: int) -> None:
        super().__init__()
        self.vnet = VNet(
            out_channels,
            base_channels=16,
            max_channels=256,
            convolutions=[1, 2, 2, 2],
            residual=True,
            norm="instance",
        )
        low, high = WINDOW_HU
        values = [((hu - low) / (high - low) - MEAN) / STD for hu in (40, *ORGANS_HU)]
        self.register_buffer("values", torch.tensor(values)[:, None, None, None])

    def forward(self, image: Tensor) -> Tensor:
        """(B,1,I,J,K) to (B,C,I,J,K)."""
        logits = -100 * (image - self.values).abs()
        dark = image < self.values[0]
        return torch.where(dark, logits.new_tensor([0.0, *[-100.0] * 4])[:, None, None, None], logits) + (
            0 * self.vnet(image)
        )


def paint(hu: np.ndarray, label: np.ndarray, codes: list[int]) -> np.ndarray:
    """A CT (I,J,K) in which each organ has its own HU, and all other tissue is at most water."""
    painted = np.minimum(hu, 0).astype(np.int16)  # as scanners store it; scaled values are float64
    for code, value in zip(codes, ORGANS_HU, strict=True):
        painted[label == code] = value
    return painted


def enlarge(image: nib.Nifti1Image, size: tuple[int, int, int]) -> nib.Nifti1Image:
    """A CT of another size: in the plane over the same field of view; with slices of 1 mm, of the chest at the end.

    Args:
        image: A CT with the chest in its last slices.
        size: (I,J,K) of the result.
    """
    n, mm = image.shape, np.array(image.header.get_zooms())
    index = [np.arange(m) * n[axis] // m for axis, m in enumerate(size[:2])]
    k = (np.arange(size[2]) / mm[2]).astype(int)
    beyond = np.maximum(k - n[2] + 1, 0) % 60
    index.append(np.minimum(k, n[2] - 1) - np.minimum(beyond, 60 - beyond))  # back and forth through 30 slices
    affine = image.affine @ np.diag([n[0] / size[0], n[1] / size[1], 1 / mm[2], 1])
    hu = np.asarray(image.dataobj).astype(np.int16)
    return nib.Nifti1Image(hu[np.ix_(*index)], affine)
