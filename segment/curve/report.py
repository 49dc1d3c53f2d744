"""Write what is known about a curve: its answers as text, tables and a picture, and its trainings."""

import json
import logging
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from optuna.trial import FrozenTrial

from segment.curve.answer import Answer, Estimate, answer
from segment.curve.picture import write_picture
from segment.curve.results import read_scores
from segment.curve.subsets import Subsets
from segment.curve.trainings import CTS, REPEAT
from segment.files import write_text
from segment.io.json_file import plain_json
from segment.metrics.cases_csv import csv_text
from segment.search.study import Search
from segment.search.trials_table import finished
from segment.view import failsafe
from segment.view.page.curve import CURVE

log = logging.getLogger(__name__)

DIGITS = 4


class CurveReport:
    """Writes curve.json, curve.csv, curve.png and trainings.csv.

    Args:
        search: The trainings.
        subsets: Their patients.
        organs: The organs.
        target: The Dice that is asked for.
        seed: Of the curves that are drawn.
        steps: How the trainings compare in length, in a sentence.
    """

    def __init__(
        self, search: Search, subsets: Subsets, organs: Sequence[str], target: float, seed: int, steps: str
    ) -> None:
        self.search = search
        self.subsets = subsets
        self.organs = organs
        self.target = target
        self.seed = seed
        self.steps = steps

    def on_trial_end(self, trial: FrozenTrial) -> None:
        """Log how a training has ended, and write everything."""
        words = f"{trial.params[CTS]} CTs, repeat {trial.params[REPEAT]}"
        how = trial.user_attrs.get("why") or f"best validation score {trial.value:.4f}"
        log.info("trial %d %s (%s): %s", trial.number, trial.state.name.lower(), words, how)
        self.write()

    def write(self) -> list[Answer]:
        """Write everything, and return the answer for each organ."""
        trials, folder = self.search.trials(), self.search.folder
        scores = read_scores(folder, trials, self.subsets, self.organs)
        answers = [
            answer(organ, of_organ, self.target, self.subsets.have, self.seed)
            for organ, of_organ in zip(self.organs, scores, strict=True)
        ]
        trainings = [_training(trial, self.subsets) for trial in trials]
        write_text(folder / "trainings.csv", csv_text([_TRAINING, *(row.values() for row in trainings)]))
        write_text(folder / "curve.csv", csv_text([_COLUMNS, *_rows(answers)]))
        content = {
            "target": self.target,
            "have": self.subsets.have,
            "validate": len(self.subsets.val),
            "test": len(self.subsets.test),
            "steps": self.steps,
            "organs": [plain_json(asdict(one), DIGITS) for one in answers],
            "trainings": trainings,
            "finished": len(finished(trials)),
        }
        write_text(folder / CURVE, json.dumps(content, indent=1))
        with failsafe.warn_on_error("curve.png"):
            write_picture(folder / "curve.png", answers, scores, self.subsets.have)
        return answers


_TRAINING = ("trial", "cts", "repeat", "state", "validation", "why")
_COLUMNS = ("organ", "cts", "what", "dice", "low", "high")


def _training(trial: FrozenTrial, subsets: Subsets) -> dict[str, Any]:
    cts, repeat = trial.params[CTS], trial.params[REPEAT]
    values = (
        trial.number,
        len(subsets.training(cts, repeat)),
        repeat,
        trial.state.name.lower(),
        None if trial.value is None else round(trial.value, DIGITS),
        trial.user_attrs.get("why", ""),
    )
    return dict(zip(_TRAINING, values, strict=True))


def _rows(answers: Sequence[Answer]) -> list[tuple[object, ...]]:
    rows: list[tuple[object, ...]] = []
    for one in answers:
        for what, estimates in (("measured", one.measured), ("predicted", one.predicted)):
            rows += [(one.organ, cts, what, *_rounded(estimate)) for cts, estimate in estimates.items()]
    return rows


def _rounded(estimate: Estimate) -> list[float]:
    return [round(value, DIGITS) for value in (estimate.value, estimate.low, estimate.high)]
