"""Losses of logits (B,C,I,J,K) against class indices (B,1,I,J,K) that MONAI lacks or defines differently."""

import numpy as np
import torch
from monai.losses import DiceCELoss
from scipy import ndimage
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812

from segment.bounds import NonNegativeFloat, PositiveFloat, in_range

SMOOTH = 1e-5  # makes the Tversky index 1 for an organ that is in neither prediction nor reference


class CrossEntropy(nn.Module):
    """Cross-entropy or focal loss: mean of -w (1 - p)^gamma log p.

    p is the softmax probability of the true class, and w is the weight of that class. This is the focal loss of Lin et
    al. 2017 (arXiv 1708.02002) with a softmax in place of their sigmoid, so that it can be used with merged classes
    (`segment.model.marginal_loss`). MONAI's `FocalLoss` without background takes the softmax over organs only, and its
    `DiceFocalLoss` uses a sigmoid.

    Args:
        weight: Weight (C,) of each true class; the sum over voxels is divided by the sum of their weights. None: all 1.
        gamma: 0 is cross-entropy. The larger it is, the less weight easy voxels have.

    Raises:
        UserError: When gamma is negative.
    """

    weight: Tensor | None

    @in_range
    def __init__(self, weight: Tensor | None = None, gamma: NonNegativeFloat = 0.0) -> None:
        super().__init__()
        self.register_buffer("weight", weight, persistent=False)
        self.gamma = gamma

    def forward(self, logits: Tensor, label: Tensor) -> Tensor:
        """Mean over voxels; 0 if all weights are 0."""
        target = label[:, 0].long()
        nll = F.cross_entropy(logits, target, reduction="none")  # negative log-likelihood -log p, (B,I,J,K)
        modulating_factor = torch.ones_like(nll)
        if self.gamma:
            # Clamped, because for gamma < 1 the derivative of (1 - p)^gamma is infinite at p = 1.
            modulating_factor = (-torch.expm1(-nll)).clamp(min=1e-6) ** self.gamma
        if self.weight is None:
            return (modulating_factor * nll).mean()
        weight = self.weight[target]
        return (weight * modulating_factor * nll).sum() / weight.sum().clamp(min=1e-12)


class DiceCrossEntropy(DiceCELoss):  # type: ignore[misc]
    """MONAI's `DiceCELoss`, except that the cross-entropy is 0 and not 0 / 0 if all voxels of a patch have weight 0.

    An example is a patch without organs and `class_weights={background: 0}`.
    """

    def ce(self, logits: Tensor, label: Tensor) -> Tensor:
        """Cross-entropy of logits (B,C,I,J,K) and label (B,1,I,J,K): mean over voxels; 0 if all weights are 0."""
        weight = self.cross_entropy.weight
        if weight is not None and not weight[label.long()].any():
            return logits.sum() * 0  # a zero that backward() accepts
        loss: Tensor = super().ce(logits, label)
        return loss


class Tversky(nn.Module):
    """Tversky loss: mean over classes of w (1 - T)^gamma with T = TP / (TP + alpha FP + beta FN).

    Salehi et al. 2017 (arXiv 1706.05721). With gamma other than 1 it is the focal Tversky loss of Abraham and Khan 2019
    (arXiv 1810.07842), who write 1/gamma for the exponent. With alpha = beta = 0.5 it is the Dice loss. A class that is
    in neither prediction nor reference costs nothing.

    Args:
        alpha: Weight of false positives.
        beta: Weight of false negatives. With beta above alpha, the network misses less of a small organ.
        gamma: Exponent, positive.
        include_background: Whether the background is one of the classes.
        batch: Whether counts are summed over the batch before the ratio.
        weight: Weight of each included class; None: all 1.

    Raises:
        UserError: When gamma is not positive, or a weight is negative.
    """

    weight: Tensor | None

    @in_range
    def __init__(
        self,
        alpha: NonNegativeFloat,
        beta: NonNegativeFloat,
        gamma: PositiveFloat = 1.0,
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
        """Mean over classes and, without `batch`, over patches."""
        first = 0 if self.include_background else 1
        probs = logits.softmax(dim=1)[:, first:]
        reference = F.one_hot(label[:, 0].long(), logits.shape[1]).movedim(-1, 1)[:, first:].to(probs)
        true_positives = (probs * reference).sum(self.axes)  # (C,) or (B,C)
        false_positives = probs.sum(self.axes) - true_positives
        false_negatives = reference.sum(self.axes) - true_positives
        denominator = true_positives + self.alpha * false_positives + self.beta * false_negatives
        index = (true_positives + SMOOTH) / (denominator + SMOOTH)
        loss = 1 - index
        if self.gamma != 1:
            loss = loss.clamp(min=1e-6) ** self.gamma
        return (loss if self.weight is None else loss * self.weight).mean()


class Boundary(nn.Module):
    """Boundary loss: mean of the probability times the signed distance to the organ's true surface, in voxels.

    Kervadec et al. 2021 (doi:10.1016/j.media.2020.101851, eq. 5). The farther a voxel is outside the organ, the more
    its probability costs; inside, it is rewarded. Only organs count. An organ without voxels in the patch has no
    surface and costs nothing, so add this loss to another one. An organ that is not annotated has probability 0
    (`segment.model.marginal_loss`). Distances are computed within the patch, on the CPU.

    Args:
        weight: Weight (C-1,) of each organ; None: all 1.
    """

    weight: Tensor | None

    def __init__(self, weight: Tensor | None = None) -> None:
        super().__init__()
        self.register_buffer("weight", weight, persistent=False)

    def forward(self, logits: Tensor, label: Tensor) -> Tensor:
        """Mean over voxels, organs and patches; negative for a perfect prediction."""
        organs = logits.shape[1] - 1
        probs = logits.softmax(dim=1)[:, 1:]
        distances = []
        for classes in label[:, 0].to("cpu", torch.uint8).numpy():
            distances.append(np.stack([signed_distance(classes == index + 1) for index in range(organs)]))
        loss = (probs * torch.from_numpy(np.stack(distances)).to(probs)).mean(dim=(0, 2, 3, 4))  # (C-1,)
        return (loss if self.weight is None else loss * self.weight).mean()


def signed_distance(mask: np.ndarray) -> np.ndarray:
    """Distance of every voxel (I,J,K) to a mask's surface, float32, in voxels.

    Outside the mask it is the distance to the nearest voxel inside. Inside, it is 1 minus the distance to the nearest
    voxel outside, so that it is 0 for the outermost voxels of the mask. It is 0 everywhere for an empty or full mask.
    """
    distance = np.zeros(mask.shape, np.float32)
    if not mask.any() or mask.all():
        return distance
    distance += ndimage.distance_transform_edt(~mask)
    # For voxels inside, the nearest voxel outside is in the bounding box with a margin of one voxel.
    (box,) = ndimage.find_objects(mask.astype(np.uint8))
    around = tuple(slice(max(s.start - 1, 0), s.stop + 1) for s in box)
    distance[around] -= np.maximum(ndimage.distance_transform_edt(mask[around]) - 1, 0)
    return distance
