"""From the times of a trial to those of the run."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta


@dataclass(frozen=True)
class TrialTimes:
    """Times and memory of a trial: one short epoch, one volume validated, one CT tested.

    Attributes:
        steps: Steps that were done.
        once_s: Before the first epoch and after the last one.
        step_s: From step to step.
        waiting: Share of it in which the step waits for patches, in [0, 1].
        epoch_s: What an epoch takes beside its steps: workers that start and the first patches, checkpoints.
        volume_s: One validation volume.
        validation_s: What a validation takes beside its volumes.
        test_s: One test CT, from its file to its pictures.
        memory_bytes: Peak memory of the process and, while it trains, of its loader's workers.
        gpu_bytes: Peak memory on the GPU; None without one.
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
    """Cases of a part, in multiples of the one that is tried.

    Attributes:
        windows: Patches that the network sees.
        voxels: Preprocessed voxels.
        tried: Windows of the case that is tried, in multiples of those of the validation volume that is tried.
    """

    windows: float
    voxels: float
    tried: float = 1.0


@dataclass(frozen=True)
class Plan:
    """What a run has to do, from where it starts to its end.

    Attributes:
        patches: Patches of an epoch, over all processes.
        steps: Batches of an epoch in each process.
        begun: Epochs done before, possibly in part.
        epochs: Epochs in all; infinite where only the time ends training.
        validate_every: Epochs from validation to validation.
        validation: What a validation validates; None: there is none.
        test: What is tested; None: nothing is.
        fit_s: The most that training may take.
        at_most: Whether training may end earlier.
    """

    patches: int
    steps: int
    begun: float
    epochs: float
    validate_every: int
    validation: Cases | None
    test: Cases | None
    fit_s: float
    at_most: bool


@dataclass(frozen=True)
class Forecast:
    """What a run will take from now on, in seconds and bytes.

    Attributes:
        patches_per_epoch: Patches of an epoch, over all processes.
        step_s: One training step.
        epoch_s: One epoch, without its validation.
        validation_s: One validation.
        test_s: The test; 0 without one.
        total_s: All that is left of the run; infinite where nothing ends it.
        at_most: Whether it may end earlier.
        memory_bytes: Peak memory of a process and of its loader's workers.
        gpu_bytes: Peak memory on the GPU; None without one.
        warnings: What will go wrong, a sentence each.
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
        ends = datetime.now() + timedelta(seconds=min(self.total_s, 1e8))
        parts = [
            f"{self.patches_per_epoch} patches an epoch",
            f"{duration(self.step_s)} a step",
            f"{duration(self.epoch_s)} an epoch",
            *([f"{duration(self.validation_s)} a validation"] if self.validation_s else []),
            *([f"{duration(self.test_s)} for the test"] if self.test_s else []),
            f"{'at most ' * self.at_most}{duration(self.total_s)} in all (until {ends:%a %H:%M})",
            gigabytes(self.memory_bytes),
            *([f"{gigabytes(self.gpu_bytes)} on the GPU"] if self.gpu_bytes else []),
        ]
        return ", ".join(parts)


def forecast(trial: TrialTimes, plan: Plan) -> Forecast:
    """Add up what is left of a run."""
    epoch_s = trial.epoch_s + plan.steps * trial.step_s
    validation_s = trial.validation_s + trial.volume_s * plan.validation.windows if plan.validation else 0.0
    epochs = max(0.0, plan.epochs - plan.begun)
    fit_s = epochs * epoch_s + (_validations(plan) * validation_s if validation_s else 0.0)
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
    if math.isinf(plan.epochs):
        return math.inf
    # One that a stopped run has done already, at the end of an epoch, is not done again.
    return max(0.0, plan.epochs // plan.validate_every - plan.begun // plan.validate_every)


def _test_s(trial: TrialTimes, cases: Cases) -> float:
    """The network's time grows with the windows, that of reading, surfaces and pictures with the voxels."""
    network_s = min(trial.test_s, trial.volume_s * cases.tried)
    per_case_s = trial.test_s - network_s
    return network_s * cases.windows + per_case_s * cases.voxels


def duration(seconds: float) -> str:
    """Such as `12 ms`, `1.2 s`, `4 min 20 s`, `3 h 05 min` or `2 d 4 h`."""
    if math.isinf(seconds):
        return "without end"
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
    """Such as `1.9 GB`."""
    return f"{count / 1e9:.1f} GB"
