"""What will go wrong in a run, or be slow, a sentence each: what, the value, what to do."""

import math
from collections import Counter
from collections.abc import Sequence
from statistics import median

from segment.forecast.forecast import Forecast, Plan, TrialTimes, duration, gigabytes

SMALL = 0.2  # of the training volumes
WAITING = 0.3  # share of a step
ENOUGH = 8  # steps that tell how a loader keeps up
SHORT_S = 5.0  # a validation that nobody minds


def small_volumes(shapes: Sequence[Sequence[int]], patch_size: Sequence[int]) -> list[str]:
    """Axes along which a patch is longer than many training volumes.

    Args:
        shapes: (I,J,K) of every training volume.
        patch_size: Voxels along I, J, K.
    """
    found = []
    for axis, patch, lengths in zip("IJK", patch_size, zip(*shapes, strict=True), strict=True):
        share = sum(length < patch for length in lengths) / len(lengths)
        if share >= SMALL:
            found.append(
                f"a patch has {patch} voxels along {axis}, {share:.0%} of the training volumes have fewer (median "
                f"{median(lengths):.0f}) and are padded with air; a shorter data.patch_size costs less time"
            )
    return found


def rare_organs(
    shown: Sequence[Sequence[int]], organs: Sequence[str], patches: int, foreground_share: float
) -> list[str]:
    """Organs that few training cases show, or that less than one patch of an epoch is placed around.

    Args:
        shown: Class indices that each training case shows, background left out.
        organs: Class i is organs[i-1].
        patches: Patches of an epoch.
        foreground_share: Share of them that is placed around an organ.
    """
    cases = Counter(index for classes in shown for index in classes)
    drawn = [0.0] * (1 + len(organs))
    for classes in shown:
        for index in classes:
            drawn[index] += patches / len(shown) * foreground_share / len(classes)
    found = [
        f"only {cases[index]} of {len(shown)} training cases show {organ}; check its code or mask, or add cases"
        for index, organ in enumerate(organs, start=1)
        if 10 * cases[index] < len(shown)
    ]
    if rare := [organ for organ, count in zip(organs, drawn[1:], strict=True) if foreground_share and count < 1]:
        found.append(
            f"fewer than one patch an epoch is placed around {', '.join(rare)} ({min(drawn[1:]):.2f} at the least); "
            "raise data.patches_per_epoch"
        )
    return found


def slow_parts(trial: TrialTimes, plan: Plan, forecast: Forecast) -> list[str]:
    """A validation that takes longer than the training in between, and a loader that training waits for."""
    found = []
    training_s = forecast.epoch_s * plan.validate_every
    if forecast.validation_s > max(training_s, SHORT_S):
        every = math.ceil(forecast.validation_s / forecast.epoch_s)
        found.append(
            f"a validation takes {duration(forecast.validation_s)}, the training in between {duration(training_s)}; "
            f"trainer.check_val_every_n_epoch={every} would spend less than half of the time on it"
        )
    if trial.waiting > WAITING and trial.steps >= ENOUGH:
        found.append(
            f"training waits for patches {trial.waiting:.0%} of its time; raise data.num_workers, or augment less"
        )
    return found


def little_memory(forecast: Forecast, available: int) -> list[str]:
    """More memory than there is.

    Args:
        forecast: Of each process.
        available: Bytes that the process could hold.
    """
    if forecast.memory_bytes <= available:
        return []
    return [
        f"the run needs {gigabytes(forecast.memory_bytes)} of memory and {gigabytes(available)} are free; "
        "lower data.num_workers, data.batch_size or data.patch_size, or end other programs"
    ]
