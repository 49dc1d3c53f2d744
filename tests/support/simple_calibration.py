"""A calibration of the confidence that predicts the same Dice for every organ."""

import numpy as np

from segment.inference.confidence.calibration import Calibration
from segment.inference.confidence.table import FEATURES
from segment.inference.confidence.trees import Trees


def calibration(dice: float = 0.95, low: float = 0.9, high: float = 0.98, checkpoint: str = "sha") -> Calibration:
    """One knot and no tree, made from one mask."""
    curve = np.array([[0.0, dice, low, high]])
    usual = {"noise_hu": (5.0, 40.0)}
    return Calibration(checkpoint, FEATURES, -99.0, Trees(0.0, []), curve, {}, 0.7, usual, {"masks": 1})
