"""Measure on labelled CTs what each step of the post-processing changes, organ by organ."""

import csv
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean

import numpy as np
from rich.console import Console
from rich.table import Table

from segment.inference.postprocess.clean_up import CleanUp, Step

COLUMNS = ("case", "step", "organ", "dice_before", "dice_after")
Key = tuple[str, str]  # step and organ


@dataclass(frozen=True)
class Gain:
    """What a step changed in the Dice of an organ.

    Attributes:
        cases: Number of cases that annotate the organ.
        changed: Number of those whose Dice the step changed.
        mean: Mean difference over all cases.
        lowest: Lowest difference of a case.
        highest: Highest difference.
    """

    cases: int
    changed: int
    mean: float
    lowest: float
    highest: float

    @property
    def harms(self) -> bool:
        """Whether the step lowers the mean. One that changed no case is kept: nothing speaks against it."""
        return self.mean < 0


class Recorder:
    """A post-processing that keeps a copy of the last mask before it.

    Args:
        postprocess: The post-processing of a `Segmenter`, or None.
    """

    def __init__(self, postprocess: object) -> None:
        self.postprocess = postprocess
        self.raw = np.zeros((0, 0, 0), np.uint8)

    def __call__(self, mask: np.ndarray, affine: np.ndarray) -> np.ndarray:
        """The mask after the post-processing."""
        self.raw = mask.copy()
        return self.postprocess(mask, affine) if callable(self.postprocess) else mask


def measure_steps(
    raw: np.ndarray,
    reference: np.ndarray,
    affine: np.ndarray,
    organs: Sequence[str],
    steps: Mapping[str, Step | None],
    annotated: Sequence[bool],
) -> dict[Key, tuple[float, float]]:
    """Dice of each organ before and after each step, which is applied after the steps before it.

    An organ that is in neither mask nor reference has the Dice 1 here, so that removing what was taken for an absent
    organ counts.

    Args:
        raw: Class indices (I,J,K) of the network, without post-processing.
        reference: Class indices of the same shape.
        affine: (4,4) voxel → RAS+ mm.
        organs: Class i is organs[i-1].
        steps: Steps in their order.
        annotated: Whether each class is annotated, background first. Organs that are not are left out.
    """
    mask, result = raw.copy(), {}
    before = _dices(mask, reference, len(organs))
    for name, step in steps.items():
        if step is None:
            continue
        mask = CleanUp(organs, {name: step}, {})(mask, affine)
        after = _dices(mask, reference, len(organs))
        for index, organ in enumerate(organs, start=1):
            if annotated[index]:
                result[name, organ] = before[index], after[index]
        before = after
    return result


def append_gains(path: Path, case: str, dices: Mapping[Key, tuple[float, float]]) -> None:
    """Append the rows of a case to a table, which is created if it does not exist."""
    is_new = not path.exists()
    with path.open("a", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        if is_new:
            writer.writerow(COLUMNS)
        writer.writerows((case, *key, *values) for key, values in dices.items())


def read_gains(path: Path) -> dict[Key, Gain]:
    """Gains by step and organ. If a case occurs twice, because a call was interrupted, its last rows count."""
    differences: dict[tuple[str, str, str], float] = {}
    with path.open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            key = row["step"], row["organ"], row["case"]
            differences[key] = float(row["dice_after"]) - float(row["dice_before"])
    by_step: dict[Key, list[float]] = {}
    for (step, organ, _), difference in differences.items():
        by_step.setdefault((step, organ), []).append(difference)
    return {key: _gain(values) for key, values in by_step.items()}


def organs_left_out(gains: Mapping[Key, Gain]) -> dict[str, list[str]]:
    """For each step that harms an organ, these organs: the `left_out` of `CleanUp`."""
    result: dict[str, list[str]] = {}
    for (step, organ), gain in gains.items():
        if gain.harms:
            result.setdefault(step, []).append(organ)
    return result


def print_gains(gains: Mapping[Key, Gain]) -> None:
    """Print what each step gained."""
    table = Table(title="Dice gained by each step of the post-processing")
    for column in ("step", "organ", "cases", "changed", "mean", "lowest", "highest", "choice"):
        table.add_column(column, justify="left" if column in ("step", "organ", "choice") else "right")
    for (step, organ), gain in gains.items():
        numbers = (f"{value:+.4f}" for value in (gain.mean, gain.lowest, gain.highest))
        choice = "left out" if gain.harms else "kept" if gain.changed else "kept, untried"
        table.add_row(step, organ, str(gain.cases), str(gain.changed), *numbers, choice)
    Console(width=120).print(table)


def _gain(differences: Sequence[float]) -> Gain:
    changed = sum(difference != 0 for difference in differences)
    return Gain(len(differences), changed, fmean(differences), min(differences), max(differences))


def _dices(mask: np.ndarray, reference: np.ndarray, organs: int) -> Sequence[float]:
    """Dice of each class, the background's first; 1 if a class is in neither."""
    both: Iterable[int] = np.bincount(mask[mask == reference], minlength=organs + 1)
    total = np.bincount(mask.ravel(), minlength=organs + 1) + np.bincount(reference.ravel(), minlength=organs + 1)
    return [2 * int(b) / int(t) if t else 1.0 for b, t in zip(both, total, strict=False)]
