"""Mean Dice at every number of training CTs, and how sure each mean is."""

from dataclasses import dataclass

import numpy as np

LEAST_DEVIATION = 0.0005  # of a mean Dice; without it, equal scores would have no spread at all
LEAST_ERROR = 0.005  # 1 - Dice; below it, the spread of trainings no longer shrinks with the error


@dataclass(frozen=True)
class Scores:
    """Dice of one organ in all test patients, by all trainings.

    Attributes:
        sizes: (T,) number of training CTs of each training.
        dice: (P,T) Dice of each patient, in [0, 1]; NaN if the patient does not have the organ.
    """

    sizes: np.ndarray
    dice: np.ndarray


@dataclass(frozen=True)
class Means:
    """Mean Dice at S different numbers of training CTs.

    Attributes:
        sizes: (S,) the numbers, ascending.
        mean: (S,) mean over patients and trainings.
        covariance: (S,S) of the means, if both patients and trainings were taken again.
        freedom: Degrees of freedom of the covariance.
    """

    sizes: np.ndarray
    mean: np.ndarray
    covariance: np.ndarray
    freedom: int


def size_means(scores: Scores) -> Means:
    """Average over patients and trainings.

    The covariance has two parts. The part of the patients is estimated from the patients' means over the trainings of a
    size. They are the same patients at all sizes, so their errors are correlated and mostly shift the whole curve. The
    part of the trainings, which have other CTs and another seed, is estimated from the spread of the trainings of one
    size. Two or three trainings show too little of it, so all sizes share one estimate: the spread is assumed to be
    proportional to the error 1 - Dice. Patients and trainings are not resampled, because a bootstrap of R trainings has
    only (R - 1)/R of their variance.

    Args:
        scores: At least two patients who are scored by all trainings, and two trainings of at least one size.
    """
    sizes = np.unique(scores.sizes)
    dice = scores.dice[~np.isnan(scores.dice).any(axis=1)]
    by_size = [dice[:, scores.sizes == size] for size in sizes]
    patients = np.stack([columns.mean(axis=1) for columns in by_size], axis=1)  # (P,S)
    mean = patients.mean(axis=0)
    error = np.maximum(1 - mean, LEAST_ERROR)
    counts = np.array([columns.shape[1] for columns in by_size])
    freedom = int((counts - 1).sum())
    squares = [
        ((columns.mean(axis=0) - average) ** 2).sum() / size_error**2
        for columns, average, size_error in zip(by_size, mean, error, strict=True)
    ]
    of_trainings = np.diag(sum(squares) / freedom * error**2 / counts)
    rounding = LEAST_DEVIATION**2 * np.eye(len(sizes))
    of_patients = np.cov(patients, rowvar=False).reshape(len(sizes), len(sizes)) / len(patients)
    return Means(sizes, mean, of_patients + of_trainings + rounding, min(freedom, len(patients) - 1))
