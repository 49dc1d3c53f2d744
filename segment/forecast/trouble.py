"""Problems that a run will have. A sentence for each states the problem, its size, and what to do."""

import math
from collections import Counter
from collections.abc import Sequence
from statistics import median

from segment.forecast.forecast import Forecast, Plan, TrialTimes, duration, gigabytes

MAX_SMALL = 0.2  # share of the training volumes that may be smaller than a patch
MAX_WAITING = 0.3  # share of a step that may be spent waiting for patches
MIN_STEPS = 8  # a shorter trial cannot measure how long training waits for patches
SHORT_S = 5.0  # shorter validations are always accepted


def small_volumes(shapes: Sequence[Sequence[int]], patch_size: Sequence[int]) -> list[str]:
    """Warn of axes along which a patch is longer than many training volumes.

    Args:
        shapes: (I,J,K) of every training volume.
        patch_size: Voxels along I, J, K.
    """
    found = []
    for axis, patch, lengths in zip("IJK", patch_size, zip(*shapes, strict=True), strict=True):
        share = sum(length < patch for length in lengths) / len(lengths)
        if share >= MAX_SMALL:
            found.append(
                f"a patch has {patch} voxels along {axis}, but {share:.0%} of the training volumes have fewer (median "
                f"{median(lengths):.0f}) and are padded with air; a smaller data.patch_size saves time"
            )
    return found


def rare_organs(
    classes_by_case: Sequence[Sequence[int]], organs: Sequence[str], patches: int, foreground_share: float
) -> list[str]:
    """Warn of organs that few training cases show, or around which few patches are placed.

    Few means less than a tenth of the training cases, or less than one patch per epoch.

    Args:
        classes_by_case: Class indices that each training case shows, without background.
        organs: Class i is organs[i-1].
        patches: Patches of an epoch.
        foreground_share: Share of the patches that are placed around an organ.
    """
    num_cases = len(classes_by_case)
    cases: Counter[int] = Counter()
    expected = [0.0] * (1 + len(organs))  # patches per epoch around each class
    for classes in classes_by_case:
        cases.update(classes)
        for index in classes:
            expected[index] += patches / num_cases * foreground_share / len(classes)
    found = []
    for index, organ in enumerate(organs, start=1):
        if 10 * cases[index] < num_cases:
            found.append(
                f"only {cases[index]} of {num_cases} training cases show {organ}; check its code or mask, or add cases"
            )
    rare = [organ for organ, count in zip(organs, expected[1:], strict=True) if count < 1]
    if rare and foreground_share:
        found.append(
            f"fewer than one patch per epoch is placed around {', '.join(rare)} (only {min(expected[1:]):.2f} around "
            "the rarest organ); raise data.patches_per_epoch"
        )
    return found


def slow_parts(trial: TrialTimes, plan: Plan, forecast: Forecast) -> list[str]:
    """Warn if a validation takes longer than the training between two of them, or if patches are made too slowly."""
    found = []
    training_s = forecast.epoch_s * plan.validate_every
    if forecast.validation_s > max(training_s, SHORT_S):
        every = math.ceil(forecast.validation_s / forecast.epoch_s)
        found.append(
            f"a validation takes {duration(forecast.validation_s)}, but the training between two validations only "
            f"{duration(training_s)}; set trainer.check_val_every_n_epoch={every} to spend most of the time on training"
        )
    if trial.waiting > MAX_WAITING and trial.steps >= MIN_STEPS:
        found.append(
            f"training waits for patches during {trial.waiting:.0%} of its time; raise data.num_workers, or use a "
            "lighter augment="
        )
    return found


def little_memory(forecast: Forecast, available: int) -> list[str]:
    """Warn if a process of the run needs more memory than is available.

    Args:
        forecast: The forecast.
        available: Bytes that the process can use.
    """
    if forecast.memory_bytes <= available:
        return []
    return [
        f"the run needs {gigabytes(forecast.memory_bytes)} of memory and {gigabytes(available)} are free; "
        "lower data.num_workers, data.batch_size or data.patch_size, or end other programs"
    ]
