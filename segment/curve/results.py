"""The scores of the finished trainings of a curve, by organ."""

import math
from collections.abc import Sequence
from pathlib import Path
from statistics import fmean

import numpy as np
from optuna.trial import FrozenTrial

from segment.comparison.tested_run import read_scores as read_table
from segment.curve.scores import Scores
from segment.curve.subsets import Subsets
from segment.curve.trainings import CTS, REPEAT
from segment.errors import UserError
from segment.search.trials_table import finished

CASES = "cases.csv"


def read_scores(folder: Path, trials: Sequence[FrozenTrial], subsets: Subsets, organs: Sequence[str]) -> list[Scores]:
    """Dice of each organ in all test patients, by all finished trainings.

    The Dice of a patient is the mean over the patient's CTs.

    Args:
        folder: The folder of the curve.
        trials: Its trials.
        subsets: The patients.
        organs: The organs.

    Raises:
        UserError: When the table of a finished training is lost or damaged.
    """
    done = finished(trials)
    sizes = np.array([len(subsets.training(trial.params[CTS], trial.params[REPEAT])) for trial in done], int)
    dice = np.full((len(organs), len(subsets.test), len(done)), np.nan)
    for column, trial in enumerate(done):
        path = folder / "trials" / str(trial.number) / CASES
        try:
            by_key = {(case, score.organ): score.dice for case, score in read_table(path)}
            for index, organ in enumerate(organs):
                dice[index, :, column] = [_patient_dice(by_key, patient, organ) for patient in subsets.test]
        except (UserError, KeyError) as error:
            msg = f"the scores of a finished training, {path}, are lost or damaged; restore them, or begin a new curve"
            raise UserError(msg) from error
    return [Scores(sizes, of_organ) for of_organ in dice]


def _patient_dice(by_key: dict[tuple[str, str], float], cases: Sequence[str], organ: str) -> float:
    known = [by_key[case, organ] for case in cases if not math.isnan(by_key[case, organ])]
    return fmean(known) if known else math.nan
