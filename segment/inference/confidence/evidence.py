"""What the network itself says about each organ: its probabilities, and how they hold up in a second look."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from segment.inference.best_class import best_class
from segment.inference.confidence.second_look import Look
from segment.inference.region import Region

SLAB = 32  # planes for which the softmax is computed at once
SURE = 0.9  # probability above which a voxel is not in doubt


@dataclass(frozen=True)
class Evidence:
    """Numbers for each class, background first, (C,) each. NaN for a class without voxels.

    Attributes:
        voxels: Voxels of the network's mask, before the post-processing, on the network's grid.
        voxel_ml: Volume of one of these voxels.
        expected_dice: Dice of the mask with the probabilities, 2Σpm / (Σp + Σm): what the network expects.
        doubtful: Share of its voxels with a probability below `SURE`.
        other_organ: Mean probability of other organs in its voxels.
        looks: Second looks by name; see `look_again`.
    """

    voxels: np.ndarray
    voxel_ml: float
    expected_dice: np.ndarray
    doubtful: np.ndarray
    other_organ: np.ndarray
    looks: Mapping[str, Look]


def gather_evidence(region: Region, affine: np.ndarray, looks: Mapping[str, Look]) -> Evidence:
    """Sum up the probabilities of a region, slab by slab.

    Args:
        region: The logits.
        affine: (4,4) voxel → mm of their grid.
        looks: The second looks.
    """
    planes = region.logits.shape[1]
    slabs = (region.logits[:, first : first + SLAB] for first in range(0, planes, SLAB))
    voxels, mass, own, sure, background = np.sum([_sums(slab) for slab in slabs], axis=0)
    count = np.where(voxels > 0, voxels, np.nan)
    return Evidence(
        voxels=voxels,
        voxel_ml=abs(float(np.linalg.det(affine[:3, :3]))) / 1000,
        expected_dice=2 * own / (count + mass),
        doubtful=1 - sure / count,
        other_organ=np.clip(1 - (own + background) / count, 0, 1),
        looks=looks,
    )


def _sums(logits: Tensor) -> np.ndarray:
    """For each class, (5,C): voxels, its probability in all and in its own voxels, sure voxels, background in them."""
    classes = logits.shape[0]
    mask = best_class(logits).flatten().long()
    probs = logits.softmax(dim=0).flatten(1)
    own = probs.gather(0, mask[None])[0].double()

    def by_class(weights: Tensor) -> Tensor:
        return torch.bincount(mask, weights, minlength=classes)

    rows = [torch.bincount(mask, minlength=classes).double(), probs.sum(dim=1, dtype=torch.float64), by_class(own)]
    rows += [by_class((own >= SURE).double()), by_class(probs[0].double())]
    return torch.stack(rows).cpu().numpy()
