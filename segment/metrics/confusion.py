"""Confusion between organs: numbers of voxels by reference class and predicted class."""

import math
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
    """Voxels of one case by reference class (rows) and predicted class (columns), (classes,classes) int64.

    Args:
        pred: Class indices (I,J,K).
        reference: Class indices of the same shape.
        classes: Number of classes, background included.
        annotated: Whether each class is annotated, background first; None: all are. A voxel that is predicted as an
            organ that is not annotated is left out where the reference is background, because it may be correct. Where
            the reference is an organ, that organ is missed, and the voxel counts as predicted background.
    """
    counts = np.zeros(classes * classes, dtype=np.int64)
    # Plane by plane, because the pairs take 8 bytes a voxel.
    for plane_pred, plane_reference in zip(pred, reference, strict=True):
        pair = plane_reference.astype(np.intp) * classes + plane_pred
        counts += np.bincount(pair.ravel(), minlength=classes * classes)
    matrix = counts.reshape(classes, classes)
    if annotated is not None:
        known = np.asarray(annotated, dtype=bool)
        matrix[1:, 0] += matrix[1:, ~known].sum(axis=1)
        matrix = matrix * known[:, None] * known
    return matrix


def dice(matrix: np.ndarray, annotated: Sequence[bool] | None = None) -> list[float]:
    """2|P∩T| / (|P|+|T|) of each organ of one case; NaN if the organ is absent from both or not annotated."""
    size = matrix.sum(axis=0) + matrix.sum(axis=1)
    values = []
    for index in range(1, len(matrix)):
        is_annotated = annotated is None or annotated[index]
        if is_annotated and size[index]:
            values.append(float(2 * matrix[index, index] / size[index]))
        else:
            values.append(float("nan"))
    return values


def shares(matrix: np.ndarray) -> np.ndarray:
    """Each row divided by its sum, (classes,classes) in [0,1]; NaN for a reference class without voxels."""
    total = matrix.sum(axis=1, keepdims=True).astype(float)
    total[total == 0] = np.nan
    result: np.ndarray = matrix / total
    return result


def write_confusion(path: Path, matrix: np.ndarray, organs: Sequence[str]) -> None:
    """Write a table with one row per pair of classes, and the columns reference, predicted, share and voxels."""
    names = [BACKGROUND, *organs]
    share = shares(matrix)
    rows: list[tuple[object, ...]] = [("reference", "predicted", "share", "voxels")]
    for (reference, pred), voxels in np.ndenumerate(matrix):
        rows.append((names[reference], names[pred], float(share[reference, pred]), int(voxels)))
    write_text(path, csv_text(rows))


def worst_and_median(dice_of: Iterable[tuple[str, Sequence[float]]]) -> tuple[str, str]:
    """The cases with the lowest and the median mean Dice. For an even number of cases, the lower median.

    Args:
        dice_of: Cases and the Dice of their organs. NaN is left out of the mean; a case without any score is ignored.

    Raises:
        ValueError: When no case has a score.
    """
    means = [(nan_mean(values), case) for case, values in dice_of]
    means = sorted((mean, case) for mean, case in means if not math.isnan(mean))
    if not means:
        msg = "no case has a score"
        raise ValueError(msg)
    return means[0][1], means[(len(means) - 1) // 2][1]
