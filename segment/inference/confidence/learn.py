"""Make the calibration of a checkpoint from organs whose Dice is known."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from segment.errors import UserError
from segment.inference.confidence.body import OF_CT
from segment.inference.confidence.calibration import Calibration, read_curve
from segment.inference.confidence.fit import DEPTH, MISSING, fit_curve, fit_score, out_of_fold, red_limit
from segment.inference.confidence.table import FEATURES, Row, feature_matrix

ALONE = ("moved", "volume")  # features that the report card compares with: agreement and volume
ALONE_DEPTH = 2  # of trees for one feature, a curve that needs few steps
LEAST_CASES, LEAST_ROWS = 8, 60
USUAL_ENDS = (0.01, 0.99)
BEYOND = 0.25  # of the range of the sound cases, by which the usual range is wider
DIGITS = 4


def learn(rows: Sequence[Row], checkpoint: str) -> Calibration:
    """Fit a calibration.

    Cases, not rows, are left out in turn to find the curve from score to Dice and the limit of red.

    Args:
        rows: Organs of sound CTs and of provoked faults.
        checkpoint: What made their masks; see `segment.checkpoint.calibrated.identity`.

    Raises:
        UserError: When there are too few.
    """
    found = [row for row in rows if row.features]
    cases = [row.case for row in found]
    if len({*cases}) < LEAST_CASES or len(found) < LEAST_ROWS:
        msg = (
            f"a calibration needs at least {LEAST_CASES} cases and {LEAST_ROWS} organs in their masks, got "
            f"{len({*cases})} and {len(found)}; give more data"
        )
        raise UserError(msg)
    features, dice = feature_matrix(found, MISSING), np.array([row.dice for row in found])
    curve, predicted = _curve(features, dice, cases, DEPTH)
    alone = {}
    for name in ALONE:
        column = features[:, [FEATURES.index(name)]]
        alone[name] = (fit_score(column, dice, ALONE_DEPTH), _curve(column, dice, cases, ALONE_DEPTH)[0])
    return Calibration(
        checkpoint=checkpoint,
        features=FEATURES,
        missing=MISSING,
        score=fit_score(features, dice),
        curve=curve,
        alone=alone,
        red_below=round(red_limit(dice, predicted), DIGITS),
        usual=_usual(found),
        made_from=_made_from(found, dice, predicted),
    )


def _curve(features: np.ndarray, dice: np.ndarray, cases: Sequence[str], depth: int) -> tuple[np.ndarray, np.ndarray]:
    """The curve from score to Dice, and the Dice that it gives each row for a score that did not see its case."""
    scores = out_of_fold(features, dice, cases, depth)
    curve = fit_curve(scores, dice)
    return curve, read_curve(curve, scores)[:, 0]


def _usual(rows: Sequence[Row]) -> dict[str, tuple[float, float]]:
    """Range of each feature of a CT in nearly all sound ones, a little wider."""
    sound = {row.case: row.features for row in rows if row.fault == "sound" and row.features}
    result = {}
    for name in OF_CT:
        values = [features[name] for features in sound.values() if np.isfinite(features[name])]
        if len(values) >= LEAST_CASES:
            low, high = np.quantile(values, USUAL_ENDS)
            beyond = BEYOND * (high - low)
            result[name] = (round(float(low - beyond), 1), round(float(high + beyond), 1))
    return result


def _made_from(rows: Sequence[Row], dice: np.ndarray, held_out: np.ndarray) -> dict[str, Any]:
    return {
        "cases": len({row.case for row in rows}),
        "masks": len({(row.case, row.fault) for row in rows}),
        "organs": len(rows),
        "faults": sorted({row.fault for row in rows}),
        "cross_validated_mae": round(float(np.abs(dice - held_out).mean()), DIGITS),
    }
