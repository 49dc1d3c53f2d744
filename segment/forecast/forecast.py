"""Compute the forecast of a run from the times of its trial."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta


@dataclass(frozen=True)
class TrialTimes:
    """Times and memory of a trial: one short epoch, the validation of one volume, and the test of one CT.

    Attributes:
        steps: Number of steps.
        once_s: Seconds that are spent once: before the first epoch and after the last one.
        step_s: Seconds from one step to the next.
        waiting: Share of `step_s` that is spent waiting for patches, in [0, 1].
        epoch_s: Seconds of an epoch without its steps: starting workers, loading the first patches, checkpoints.
        volume_s: Seconds of one validation volume.
        validation_s: Seconds of a validation without its volumes.
        test_s: Seconds of one test CT, from reading the file to writing the pictures.
        memory_bytes: Peak memory of the process, including its data workers during training.
        gpu_bytes: Peak memory of the GPU; None without a GPU.
    """

    steps: int
    once_s: float
    step_s: float
    waiting: float
    epoch_s: float
    volume_s: float
    validation_s: float
    test_s: float
    memory_bytes: int
    gpu_bytes: int | None


@dataclass(frozen=True)
class Cases:
    """Size of the validation or test set, relative to the case that the trial uses.

    For example, `windows=2.5` means that all cases together have 2.5 times as many windows as the case of the trial.

    Attributes:
        windows: Windows of the sliding window in all cases, divided by those in the case of the trial.
        voxels: Preprocessed voxels of all cases, divided by those of the case of the trial.
        trial_windows: Windows in the case of the trial, divided by those in the validation volume of the trial. It is 1
            for the validation set, where both are the same case.
    """

    windows: float
    voxels: float
    trial_windows: float = 1.0


@dataclass(frozen=True)
class Plan:
    """The epochs, steps and cases of a run, and its limits.

    Attributes:
        patches: Patches of an epoch, over all processes.
        steps: Batches of an epoch in each process.
        epochs_done: Epochs in the checkpoint from which the run resumes; 2.5 in the middle of the third epoch.
        epochs: Epochs in total; infinite if only a time limit ends training.
        validate_every: Epochs from one validation to the next.
        validation: Size of the validation set; None: no validation.
        test: Size of the test set; None: no test.
        fit_s: Time limit of training, in seconds.
        at_most: Whether training may end earlier.
    """

    patches: int
    steps: int
    epochs_done: float
    epochs: float
    validate_every: int
    validation: Cases | None
    test: Cases | None
    fit_s: float
    at_most: bool


@dataclass(frozen=True)
class Forecast:
    """Expected time and memory of the rest of a run.

    Attributes:
        patches_per_epoch: Patches of an epoch, over all processes.
        step_s: Seconds of one training step.
        epoch_s: Seconds of one epoch, without its validation.
        validation_s: Seconds of one validation; 0 without one.
        test_s: Seconds of the test; 0 without one.
        total_s: Seconds of the rest of the run; infinite if nothing ends it.
        at_most: Whether it may end earlier.
        memory_bytes: Peak memory of a process, including its data workers.
        gpu_bytes: Peak memory of the GPU; None without a GPU.
        warnings: Problems to expect, one sentence each.
    """

    patches_per_epoch: int
    step_s: float
    epoch_s: float
    validation_s: float
    test_s: float
    total_s: float
    at_most: bool
    memory_bytes: int
    gpu_bytes: int | None
    warnings: Sequence[str] = ()

    def __str__(self) -> str:
        parts = [
            f"{self.patches_per_epoch} patches an epoch",
            f"{duration(self.step_s)} a step",
            f"{duration(self.epoch_s)} an epoch",
        ]
        if self.validation_s:
            parts.append(f"{duration(self.validation_s)} a validation")
        if self.test_s:
            parts.append(f"{duration(self.test_s)} for the test")
        if math.isinf(self.total_s):
            parts.append("no end, because neither epochs nor time are limited")
        else:
            end = datetime.now() + timedelta(seconds=min(self.total_s, 1e8))
            bound = "at most " if self.at_most else ""
            parts.append(f"{bound}{duration(self.total_s)} in all (until {end:%a %H:%M})")
        parts.append(gigabytes(self.memory_bytes))
        if self.gpu_bytes:
            parts.append(f"{gigabytes(self.gpu_bytes)} on the GPU")
        return ", ".join(parts)


def forecast(trial: TrialTimes, plan: Plan) -> Forecast:
    """Extrapolate the times of a trial to the rest of the run."""
    epoch_s = trial.epoch_s + plan.steps * trial.step_s
    validation_s = trial.validation_s + trial.volume_s * plan.validation.windows if plan.validation else 0.0
    epochs = max(0.0, plan.epochs - plan.epochs_done)
    fit_s = epochs * epoch_s
    if validation_s:  # infinity times zero would be NaN
        fit_s += _validations(plan) * validation_s
    test_s = _test_s(trial, plan.test) if plan.test else 0.0
    return Forecast(
        patches_per_epoch=plan.patches,
        step_s=trial.step_s,
        epoch_s=epoch_s,
        validation_s=validation_s,
        test_s=test_s,
        total_s=trial.once_s + min(fit_s, plan.fit_s) + test_s,
        at_most=plan.at_most,
        memory_bytes=trial.memory_bytes,
        gpu_bytes=trial.gpu_bytes,
    )


def _validations(plan: Plan) -> float:
    """Number of validations that are left."""
    if math.isinf(plan.epochs):
        return math.inf
    # A run that was stopped right after a validation does not repeat it.
    return max(0.0, plan.epochs // plan.validate_every - plan.epochs_done // plan.validate_every)


def _test_s(trial: TrialTimes, cases: Cases) -> float:
    """Seconds of the test.

    The time of the network grows with the number of windows; the time of reading and of pictures grows with the number
    of voxels.
    """
    network_s = min(trial.test_s, trial.volume_s * cases.trial_windows)
    per_case_s = trial.test_s - network_s
    return network_s * cases.windows + per_case_s * cases.voxels


def duration(seconds: float) -> str:
    """Format a duration, e.g. `12 ms`, `1.2 s`, `4 min 20 s`, `3 h 05 min` or `2 d 4 h`."""
    if math.isinf(seconds):
        return "no limit"
    if seconds < 0.1:
        return f"{1000 * seconds:.0f} ms"
    if seconds < 9.95:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    if not minutes:
        return f"{rest} s"
    if minutes < 60:
        return f"{minutes} min {rest:02d} s"
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes:02d} min" if hours < 48 else f"{hours // 24} d {hours % 24} h"


def gigabytes(count: int) -> str:
    """Format a number of bytes in decimal gigabytes, e.g. `1.9 GB`."""
    return f"{count / 1e9:.1f} GB"
