"""Dice and accuracy of validation: for each patient on whole volumes, then averaged over patients."""

from collections.abc import Sequence

import torch
from torch import Tensor
from torchmetrics import Metric

from segment.metrics.scores import nan_mean

# Shares are stored as integer multiples of 1/ONE. Unlike sums of floats, sums of integers do not depend on the order of
# patients or the number of processes. With 2**32, volumes of up to 2**29 voxels fit into int64.
ONE = 2**32


class OrganMeter(Metric):
    """Means over patients of scores on whole volumes.

    `compute` returns

    - `dice/<organ>`: mean over patients of 2|P∩T| / (|P|+|T|); 0 if only one of prediction and reference has the organ;
    - `dice/mean`: mean over organs of these means;
    - `accuracy/<organ>`: mean over patients of (TP+TN) / all voxels. This is near 1 for any small organ, even if the
      network never finds it, so look at Dice;
    - `accuracy`: mean over patients of the share of voxels with the correct class.

    A patient with the organ in neither prediction nor reference is left out of the means for that organ. An organ that
    no patient has is NaN, and left out of `dice/mean`. Before the first patient, all values are NaN.

    Args:
        organs: Class i is organs[i-1].
    """

    is_differentiable = False
    higher_is_better = True
    full_state_update = False

    dice_sum: Tensor
    organ_accuracy_sum: Tensor
    organ_count: Tensor
    accuracy_sum: Tensor
    patient_count: Tensor

    def __init__(self, organs: Sequence[str]) -> None:
        super().__init__()
        self.organs = list(organs)
        for name in ("dice_sum", "organ_accuracy_sum", "organ_count"):
            self.add_state(name, torch.zeros(len(self.organs), dtype=torch.int64), dist_reduce_fx="sum")
        for name in ("accuracy_sum", "patient_count"):
            self.add_state(name, torch.zeros((), dtype=torch.int64), dist_reduce_fx="sum")

    @property
    def update_called(self) -> bool:
        """Always true: without it, torchmetrics warns about `compute` before `update`, which is valid here."""
        return True

    def update(self, pred: Tensor, label: Tensor, annotated: Tensor | None = None) -> None:
        """Add patients, one per item of the batch.

        Args:
            pred: Class indices (B,I,J,K) or (B,1,I,J,K).
            label: Class indices of the same shape.
            annotated: Whether each class is annotated (B,classes) bool, background first; None: all are. An organ that
                is not annotated gets no score, and where it is predicted counts as background.

        Raises:
            ValueError: When the shapes differ.
        """
        if pred.shape != label.shape:
            msg = f"pred and label must have the same shape, got {tuple(pred.shape)} and {tuple(label.shape)}"
            raise ValueError(msg)
        known = torch.ones(len(pred), 1 + len(self.organs), dtype=torch.bool) if annotated is None else annotated
        for patient_pred, patient_label, patient_known in zip(pred, label, known.to(pred.device), strict=True):
            self._add(patient_pred * patient_known[patient_pred.long()], patient_label)

    def _add(self, pred: Tensor, label: Tensor) -> None:
        both, size = self._counts(pred, label)  # (organs,); 0 for absent organs and for those not annotated
        present = size > 0
        voxels = pred.numel()
        # Not in place: a reset within inference mode makes tensors that cannot be changed in place outside of it.
        self.dice_sum = self.dice_sum + _share(2 * both, size.clamp(min=1)) * present
        self.organ_accuracy_sum = self.organ_accuracy_sum + _share(voxels - size + 2 * both, voxels) * present
        self.organ_count = self.organ_count + present
        self.accuracy_sum = self.accuracy_sum + _share(torch.count_nonzero(pred == label), voxels)
        self.patient_count = self.patient_count + 1

    def _counts(self, pred: Tensor, label: Tensor) -> tuple[Tensor, Tensor]:
        """|P∩T| and |P| + |T| of every organ."""
        both, size = [], []
        for index in range(1, 1 + len(self.organs)):
            predicted, reference = pred == index, label == index
            # count_nonzero of a whole tensor is twenty times as fast as a sum or a count along axes.
            both.append(torch.count_nonzero(predicted & reference))
            size.append(torch.count_nonzero(predicted) + torch.count_nonzero(reference))
        return torch.stack(both), torch.stack(size)

    def compute(self) -> dict[str, Tensor]:
        """Means over all patients, float32 scalars."""
        counts = self.organ_count.tolist()
        dice = [_mean(total, n) for total, n in zip(self.dice_sum.tolist(), counts, strict=True)]
        accuracy = [_mean(total, n) for total, n in zip(self.organ_accuracy_sum.tolist(), counts, strict=True)]
        means = {f"dice/{organ}": value for organ, value in zip(self.organs, dice, strict=True)}
        means["dice/mean"] = nan_mean(dice)
        means |= {f"accuracy/{organ}": value for organ, value in zip(self.organs, accuracy, strict=True)}
        means["accuracy"] = _mean(int(self.accuracy_sum), int(self.patient_count))
        return {name: torch.tensor(value, dtype=torch.float32, device=self.device) for name, value in means.items()}


def _share(part: Tensor, whole: Tensor | int) -> Tensor:
    """Part divided by whole, rounded to a multiple of 1/ONE, and returned as that multiple."""
    return (part * ONE + whole // 2) // whole


def _mean(total: int, count: int) -> float:
    return total / (count * ONE) if count else float("nan")
