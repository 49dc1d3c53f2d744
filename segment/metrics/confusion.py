"""Which organ was taken for which: voxels by true and predicted class."""

from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np

from segment.files import write_text
from segment.metrics.cases_csv import csv_text
from segment.metrics.scores import nan_mean

BACKGROUND = "background"


def confusion(
    pred: np.ndarray, reference: np.ndarray, classes: int, annotated: Sequence[bool] | None = None
) -> np.ndarray:
    """Voxels of one case by true class (rows) and predicted class (columns), (classes,classes) int64.

    Args:
        pred: Class indices (I,J,K).
        reference: Class indices of the same shape.
        classes: Number of classes, background included.
        annotated: Whether each class is known, background first; None: all are. Voxels predicted as an unknown organ
            are left out, since they may be right.
    """
    counts = np.zeros(classes * classes, dtype=np.int64)
    for plane_pred, plane_truth in zip(pred, reference, strict=True):  # of 8 bytes a voxel only those of a plane
        pair = plane_truth.astype(np.intp) * classes + plane_pred
        counts += np.bincount(pair.ravel(), minlength=classes * classes)
    matrix = counts.reshape(classes, classes)
    if annotated is not None:
        known = np.asarray(annotated, dtype=bool)
        matrix = matrix * known[:, None] * known
    return matrix


def dice(matrix: np.ndarray, annotated: Sequence[bool] | None = None) -> list[float]:
    """2|P∩T| / (|P|+|T|) of each organ of one case; NaN when absent from both, or unknown."""
    size = matrix.sum(axis=0) + matrix.sum(axis=1)
    known = [True] * len(matrix) if annotated is None else annotated
    return [
        float(2 * matrix[index, index] / size[index]) if known[index] and size[index] else float("nan")
        for index in range(1, len(matrix))
    ]


def shares(matrix: np.ndarray) -> np.ndarray:
    """Each row over its sum, (classes,classes) in [0,1]: where the voxels of a true class went; NaN if it has none."""
    total = matrix.sum(axis=1, keepdims=True).astype(float)
    total[total == 0] = np.nan
    result: np.ndarray = matrix / total
    return result


def write_confusion(path: Path, matrix: np.ndarray, organs: Sequence[str]) -> None:
    """Write a table with a row per true and predicted class: reference, predicted, share, voxels."""
    names, share = [BACKGROUND, *organs], shares(matrix)
    rows = (
        (names[true], names[found], float(share[true, found]), int(voxels))
        for (true, found), voxels in np.ndenumerate(matrix)
    )
    write_text(path, csv_text([("reference", "predicted", "share", "voxels"), *rows]))


def worst_and_median(dice_of: Iterable[tuple[str, Sequence[float]]]) -> tuple[str, str]:
    """Names of the cases with the lowest and the median mean Dice; of an even number, the lower one of the middle.

    Args:
        dice_of: Cases and the Dice of their organs, NaN left out; those without any score are not considered.

    Raises:
        ValueError: When no case has a score.
    """
    means = sorted((mean, case) for case, values in dice_of if (mean := nan_mean(values)) == mean)
    if not means:
        msg = "no case has a score"
        raise ValueError(msg)
    return means[0][1], means[(len(means) - 1) // 2][1]
