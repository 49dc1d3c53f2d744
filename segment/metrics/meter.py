"""Dice and accuracy of validation: per patient on whole volumes, then averaged."""

from collections.abc import Sequence

import torch
from torch import Tensor
from torchmetrics import Metric

from segment.metrics.scores import nan_mean

# Shares are kept as whole multiples of 1/ONE: sums of integers are the same to the bit for any order of patients and
# any number of processes. 2**32 leaves room in int64 for volumes of up to 2**29 voxels.
ONE = 2**32


class OrganMeter(Metric):
    """Mean over patients of scores on whole volumes.

    `compute` returns
    - `dice/<organ>`: mean over patients of 2|P∩T| / (|P|+|T|); one-sided absence counts as 0;
    - `dice/mean`: mean over organs of these means;
    - `accuracy/<organ>`: mean over patients of the share of voxels where organ or not-organ agrees, (TP+TN) / all. Near
      1 for any small organ, whatever the network does: look at Dice;
    - `accuracy`: mean over patients of the share of voxels whose class agrees.
    A patient without the organ in both prediction and reference is left out of its means; what no patient has is NaN
    and left out of `dice/mean`; before any patient all is NaN.

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
        """True, for torchmetrics: it would warn of a compute before any update, which has an answer here."""
        return True

    def update(self, pred: Tensor, label: Tensor, annotated: Tensor | None = None) -> None:
        """Add patients, one per item of the batch.

        Args:
            pred: Class indices (B,I,J,K) or (B,1,I,J,K).
            label: Class indices of the same shape.
            annotated: Whether each class is known (B,classes) bool, background first; None: all are. Of an unknown
                organ nothing is scored, and where it is found counts as background.

        Raises:
            ValueError: When the shapes differ.
        """
        if pred.shape != label.shape:
            msg = f"pred and label must have one shape, got {tuple(pred.shape)} and {tuple(label.shape)}"
            raise ValueError(msg)
        known = torch.ones(len(pred), 1 + len(self.organs), dtype=torch.bool) if annotated is None else annotated
        for patient_pred, patient_label, patient_known in zip(pred, label, known.to(pred.device), strict=True):
            self._add(patient_pred * patient_known[patient_pred.long()], patient_label)

    def _add(self, pred: Tensor, label: Tensor) -> None:
        both, size = self._counts(pred, label)  # (organs,); 0 for unknown organs, as for absent ones
        present, voxels = size > 0, pred.numel()
        # Not in place: after a reset within inference mode, states could not be changed outside of it.
        self.dice_sum = self.dice_sum + _share(2 * both, size.clamp(min=1)) * present
        self.organ_accuracy_sum = self.organ_accuracy_sum + _share(voxels - size + 2 * both, voxels) * present
        self.organ_count = self.organ_count + present
        self.accuracy_sum = self.accuracy_sum + _share(torch.count_nonzero(pred == label), voxels)
        self.patient_count = self.patient_count + 1

    def _counts(self, pred: Tensor, label: Tensor) -> tuple[Tensor, Tensor]:
        """|P∩T| and |P| + |T| of every organ."""
        both, size = [], []
        for index in range(1, 1 + len(self.organs)):
            found, true = pred == index, label == index
            # count_nonzero of a whole tensor is twenty times as fast as a sum or a count along axes.
            both.append(torch.count_nonzero(found & true))
            size.append(torch.count_nonzero(found) + torch.count_nonzero(true))
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
    """Part of a whole in multiples of 1/ONE, to the nearest."""
    return (part * ONE + whole // 2) // whole


def _mean(total: int, count: int) -> float:
    return total / (count * ONE) if count else float("nan")
