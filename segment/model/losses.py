"""Losses of logits (B,C,I,J,K) against class indices (B,1,I,J,K) that MONAI lacks or has in another form."""

import numpy as np
import torch
from monai.losses import DiceCELoss
from scipy import ndimage
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812

from segment.bounds import NotNegative, Positive, in_range

SMOOTH = 1e-5  # keeps the ratio of an organ that is nowhere at 1


class CrossEntropy(nn.Module):
    """Cross-entropy, or focal loss: mean of -w (1 - p)^gamma log p, p being the true class's softmax probability.

    Lin et al. 2017 (arXiv 1708.02002), with softmax in place of its sigmoid, so that it keeps its meaning where
    classes are merged (`segment.model.marginal_loss`). MONAI's `FocalLoss` without background takes the softmax over
    organs only, and its `DiceFocalLoss` a sigmoid.

    Args:
        weight: Weight (C,) of the true class; the mean is over the weights' sum. None: all 1.
        gamma: 0 is cross-entropy; above, the more the easy voxels are played down.

    Raises:
        UserError: When gamma is negative.
    """

    weight: Tensor | None

    @in_range
    def __init__(self, weight: Tensor | None = None, gamma: NotNegative = 0.0) -> None:
        super().__init__()
        self.register_buffer("weight", weight, persistent=False)
        self.gamma = gamma

    def forward(self, logits: Tensor, label: Tensor) -> Tensor:
        """Mean over voxels; 0 where all weights are."""
        target = label[:, 0].long()
        surprise = F.cross_entropy(logits, target, reduction="none")  # (B,I,J,K), -log p
        # The slope of a root is infinite at 0.
        hardness = (-torch.expm1(-surprise)).clamp(min=1e-6) ** self.gamma if self.gamma else torch.ones_like(surprise)
        if self.weight is None:
            return (hardness * surprise).mean()
        weight = self.weight[target]
        return (weight * hardness * surprise).sum() / weight.sum().clamp(min=1e-12)


class DiceCrossEntropy(DiceCELoss):  # type: ignore[misc]
    """MONAI's `DiceCELoss`, but for patches whose voxels all weigh nothing: their cross-entropy is 0 and not 0 / 0.

    Such are patches without organs where `class_weights={background: 0}`.
    """

    def ce(self, logits: Tensor, label: Tensor) -> Tensor:
        """Cross-entropy of logits (B,C,I,J,K) against label (B,1,I,J,K): mean over voxels; 0 where all weights are."""
        weight = self.cross_entropy.weight
        if weight is not None and not weight[label.long()].any():
            return logits.sum() * 0  # still hangs on the logits
        loss: Tensor = super().ce(logits, label)
        return loss


class Tversky(nn.Module):
    """Tversky loss: mean over classes of w (1 - T)^gamma with T = TP / (TP + alpha FP + beta FN).

    Salehi et al. 2017 (arXiv 1706.05721); with gamma other than 1 the focal Tversky loss of Abraham and Khan 2019
    (arXiv 1810.07842), who write 1/gamma for it. alpha = beta = 0.5 is Dice. A class that is neither predicted nor
    there costs nothing.

    Args:
        alpha: Weight of false positives.
        beta: Weight of false negatives; above alpha it favours finding all of a small organ.
        gamma: Exponent, positive.
        include_background: Whether the background is one of the classes.
        batch: Whether counts are summed over the batch before the ratio.
        weight: Weight of every class, those that count; None: all 1.

    Raises:
        UserError: When gamma is not positive, or a weight is negative.
    """

    weight: Tensor | None

    @in_range
    def __init__(
        self,
        alpha: NotNegative,
        beta: NotNegative,
        gamma: Positive = 1.0,
        include_background: bool = False,
        batch: bool = True,
        weight: Tensor | None = None,
    ) -> None:
        super().__init__()
        self.alpha, self.beta, self.gamma = alpha, beta, gamma
        self.include_background = include_background
        self.axes = (0, 2, 3, 4) if batch else (2, 3, 4)
        self.register_buffer("weight", weight, persistent=False)

    def forward(self, logits: Tensor, label: Tensor) -> Tensor:
        """Mean over classes and, without `batch`, patches."""
        first = 0 if self.include_background else 1
        probs = logits.softmax(dim=1)[:, first:]
        reference = F.one_hot(label[:, 0].long(), logits.shape[1]).movedim(-1, 1)[:, first:].to(probs)
        hit = (probs * reference).sum(self.axes)  # (C,) or (B,C)
        extra, missed = probs.sum(self.axes) - hit, reference.sum(self.axes) - hit
        index = (hit + SMOOTH) / (hit + self.alpha * extra + self.beta * missed + SMOOTH)
        loss = (1 - index).clamp(min=1e-6) ** self.gamma if self.gamma != 1 else 1 - index
        return (loss if self.weight is None else loss * self.weight).mean()


class Boundary(nn.Module):
    """Boundary loss: mean of the probability times the signed distance to the true organ's surface, in voxels.

    Kervadec et al. 2021 (doi:10.1016/j.media.2020.101851, eq. 5): a voxel is worth the more the farther it lies from
    where it belongs. Organs only; one that a patch does not show has no surface and costs nothing, so the loss is to be
    added to another one. Where an organ is unknown its probability is 0 (`segment.model.marginal_loss`), so partly
    labelled cases need nothing more. Distances are those within the patch, computed on the CPU.

    Args:
        weight: Weight (C-1,) of every organ; None: all 1.
    """

    weight: Tensor | None

    def __init__(self, weight: Tensor | None = None) -> None:
        super().__init__()
        self.register_buffer("weight", weight, persistent=False)

    def forward(self, logits: Tensor, label: Tensor) -> Tensor:
        """Mean over voxels, organs and patches; negative where all is right."""
        organs = logits.shape[1] - 1
        probs = logits.softmax(dim=1)[:, 1:]
        values = label[:, 0].to("cpu", torch.uint8).numpy()
        maps = np.stack([[signed_distance(case == index + 1) for index in range(organs)] for case in values])
        loss = (probs * torch.from_numpy(maps).to(probs)).mean(dim=(0, 2, 3, 4))  # (C-1,)
        return (loss if self.weight is None else loss * self.weight).mean()


def signed_distance(mask: np.ndarray) -> np.ndarray:
    """Distance of every voxel (I,J,K) to a mask's surface, float32, in voxels.

    Outside, it is the distance to the mask's nearest voxel, inside, minus that to the nearest one outside, plus 1, so
    that it is 0 along the mask's own border. 0 everywhere for a mask that is empty or full.
    """
    distance = np.zeros(mask.shape, np.float32)
    if not mask.any() or mask.all():
        return distance
    distance += ndimage.distance_transform_edt(~mask)
    (box,) = ndimage.find_objects(mask.astype(np.uint8))
    # Inside, a margin of one voxel, where there is one, holds all that is nearest.
    around = tuple(slice(max(s.start - 1, 0), s.stop + 1) for s in box)
    distance[around] -= np.maximum(ndimage.distance_transform_edt(mask[around]) - 1, 0)
    return distance
