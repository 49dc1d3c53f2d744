"""Run folders with given scores, written with the same functions as those of `segment train`."""

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from omegaconf import OmegaConf

from segment.metrics.cases_csv import append_case, create_cases
from segment.metrics.scores import OrganScore
from segment.run.folder import Run
from segment.run.record import record

ORGANS = ("liver", "right_kidney", "spleen")


@dataclass
class Study:
    """Simulated scores: each patient has the same difficulty for every network, plus effects of recipe and seed.

    Attributes:
        patients: Number of test patients.
        rng: Source of all randomness.
    """

    patients: int = 20
    rng: np.random.Generator = field(default_factory=lambda: np.random.default_rng(0))

    def __post_init__(self) -> None:
        self.hard = {organ: 0.9 + self.rng.normal(0, 0.03, self.patients) for organ in ORGANS}
        self.test = [f"set/test_{number:02d}" for number in range(self.patients)]
        self.train = [f"set/train_{number:02d}" for number in range(30)]

    def dice(self, shift=0.0, seed_sd=0.005):
        """Dice (patients,) of one network by organ."""
        result = {}
        for organ, hard in self.hard.items():
            dice = hard + shift + self.rng.normal(0, seed_sd) + self.rng.normal(0, 0.01, self.patients)
            result[organ] = np.clip(dice, 0, 1)
        return result

    def run(self, folder, seed=0, shift=0.0, **more):
        """Write the run folder of one network."""
        return write_run(folder, self.test, self.dice(shift), self.train, seed=seed, **more)

    def sweep(self, folder, seeds, shift=0.0, **more):
        """Write the folder of a sweep, with one run per seed."""
        for number, seed in enumerate(seeds):
            self.run(folder / str(number), seed, shift, **more)
        return folder


def write_run(
    folder: Path,
    test,
    dice,
    train,
    seed=0,
    channels=16,
    voxels=None,
    hd95_mm=None,
    tolerance=3,
    task="t",
    same=None,
):
    """Write config.yaml, split.json, environment.json and cases.csv.

    Args:
        folder: The run folder.
        test: Ids of test cases.
        dice: Dice (patients,) by organ.
        train: Ids of training and validation cases.
        seed: The seed of the run.
        channels: Base channels of the network; runs with other values have another recipe.
        voxels: Hashes of the voxels by case id; None gives each case its own.
        hd95_mm: HD95 (patients,) by organ; None computes it from the Dice.
        tolerance: Tolerance of NSD, mm.
        task: Name of the task.
        same: Case ids to the first case of the same patient.
    """
    folder.mkdir(parents=True)
    cfg = OmegaConf.create(
        {
            **{"seed": seed, "task": task, "run_dir": str(folder), "resume": False, "allow_changed": []},
            "tolerance_mm": dict.fromkeys(dice, tolerance),
            "split": {"seed": 0},
            "model": {"net": {"_target_": "segment.model.vnet.VNet", "base_channels": channels}},
        }
    )
    contents = {case: f"content of {case}" for case in [*train, *test]} if voxels is None else voxels
    split = {"train": list(train[:-2]), "val": list(train[-2:]), "test": list(test)}
    record(Run(folder, None, resumed=False), cfg, split, {"cases": contents, "patients": same or {}})
    create_cases(folder / "cases.csv")
    for index, case in enumerate(test):
        append_case(folder / "cases.csv", case, [_score(organ, index, dice, hd95_mm) for organ in dice])
    return folder


def _score(organ, index, dice, hd95_mm):
    value = float(dice[organ][index])
    distance = float(hd95_mm[organ][index]) if hd95_mm else 60 * (1 - value)
    return OrganScore(organ, value, distance, min(1.0, value + 0.02), 100.0 + index, 100.0)
