"""Learn during `segment evaluate` to predict the Dice of masks, or check the predictions."""

import json
from pathlib import Path

from segment.checkpoint.calibrated import identity
from segment.checkpoint.load_ensemble import Ensemble
from segment.data.volumes import LabelledScan
from segment.errors import UserError
from segment.files import write_text
from segment.inference.confidence.fit import check_installed
from segment.inference.confidence.learn import learn
from segment.inference.confidence.provoke import measure_rows
from segment.inference.confidence.report_card import card, judge_rows, print_card
from segment.inference.confidence.table import append_rows, read_rows
from segment.inference.engines.choose import AUTO, MANY_CTS, choose
from segment.inference.outputs.default_anatomy import default_anatomy

TABLE, CARD = "confidence.csv", "confidence_card.json"


def check_calibrating(mode: str | None, trained: Ensemble) -> None:
    """Refuse what would fail at the end.

    Args:
        mode: `calibrate`, `check` or None.
        trained: The checkpoints.

    Raises:
        UserError: When a package is missing, or there is no calibration to check.
    """
    if mode is None:
        return
    if mode == "calibrate":
        check_installed()
    elif trained.calibrated.calibration is None:
        msg = f"confidence=check has no calibration to check: {trained.calibrated.words}"
        raise UserError(msg)


class Calibrating:
    """Measures masks of provoked faults for every case that is scored, then learns from them or checks predictions.

    Args:
        trained: The networks.
        mode: `calibrate` or `check`.
        faults: How many faults to provoke in each case.
        folder: The run folder.
        device: As in `segment predict`. As there, the fastest engine runs the network, from now on for all masks.
    """

    def __init__(self, trained: Ensemble, mode: str, faults: int, folder: Path, device: str) -> None:
        choice = choose(AUTO, device, exported=False)
        engine = choice.equip([member.segmenter for member in trained.members], cts=MANY_CTS)
        print(f"engine: {engine.describe()}")
        self.trained = trained
        self.mode = mode
        self.faults = faults
        self.folder = folder
        self.anatomy = default_anatomy()

    def add(self, labelled: LabelledScan) -> None:
        """Measure a case."""
        segmenter, organs = self.trained.segmenter, self.trained.organs
        append_rows(self.folder / TABLE, measure_rows(labelled, segmenter, organs, self.anatomy, self.faults))

    def conclude(self) -> None:
        """Write the calibration, or print and write the report card.

        Raises:
            UserError: When there are too few cases to learn from.
        """
        table = self.folder / TABLE
        if not table.exists():  # every case failed
            return
        rows = read_rows(table)
        if self.mode == "calibrate":
            beside = self.trained.calibration_path
            path = self.folder / beside.name
            learned = learn(rows, identity(self.trained.network_sha256, self.trained.tta))
            learned.write(path)
            print(f"calibration from {learned.made_from['organs']} organs in {learned.made_from['masks']} masks")
            print(f"copy it beside the checkpoint, as {beside}: {path}")
            return
        calibration = self.trained.calibrated.calibration
        assert calibration is not None  # check_calibrating was called
        judged = judge_rows(rows, calibration, self.anatomy)
        print_card(judged)
        write_text(self.folder / CARD, json.dumps(card(judged), indent=2) + "\n")
