"""A model that predicts the Dice of a mask, learned from labelled cases. A JSON file beside a checkpoint."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from segment.errors import UserError
from segment.files import write_text
from segment.inference.confidence.trees import Trees, parse_trees

FORMAT, VERSION = "segment.confidence", 1
SUFFIX = ".confidence.json"
LONGEST = 20_000_000  # bytes
MOST_KNOTS = 1000
MOST_FEATURES = 500

Ranges = Mapping[str, tuple[float, float]]


@dataclass(frozen=True)
class Calibration:
    """A fitted model.

    Attributes:
        checkpoint: What made the masks that it was fitted to; see `segment.checkpoint.calibrated.identity`.
        features: Names of the features, in the order of the trees.
        missing: What replaces NaN.
        score: Trees for the score of an organ, which rises with its Dice.
        curve: (K,4) knots from a score to the Dice and the ends of its interval; see `fit_curve`.
        alone: For some features, trees and curve from this feature alone, to compare with; see the report card.
        red_below: Organs with a lower predicted Dice are red.
        usual: For features of the CT, the range in nearly all sound cases.
        made_from: The cases and faults that it was fitted to, in words and numbers.
    """

    checkpoint: str
    features: Sequence[str]
    missing: float
    score: Trees
    curve: np.ndarray
    alone: Mapping[str, tuple[Trees, np.ndarray]]
    red_below: float
    usual: Ranges
    made_from: Mapping[str, Any]

    def predict(self, features: Mapping[str, float]) -> tuple[float, float, float]:
        """Predicted Dice of an organ, and the lower and the upper end of its interval, each from 0 to 1."""
        values = np.array([[features[name] for name in self.features]], float)
        values[np.isnan(values)] = self.missing
        dice, low, high = read_curve(self.curve, self.score(values))[0]
        return float(dice), float(low), float(high)

    def write(self, path: Path) -> None:
        """Write the file, atomically."""
        content = {
            "format": FORMAT,
            "version": VERSION,
            "checkpoint": self.checkpoint,
            "made_from": dict(self.made_from),
            "features": list(self.features),
            "missing": self.missing,
            "red_below": self.red_below,
            "usual": {name: list(ends) for name, ends in self.usual.items()},
            "curve": self.curve.tolist(),
            "score": self.score.to_plain(),
            "alone": {
                name: {"curve": curve.tolist(), "score": score.to_plain()}
                for name, (score, curve) in self.alone.items()
            },
        }
        write_text(path, json.dumps(content, separators=(",", ":")) + "\n")


def read_calibration(path: Path, known: Sequence[str]) -> Calibration:
    """Read a calibration, which may come from a stranger. Nothing in it can run code.

    Args:
        path: The file.
        known: Names of the features that this version measures.

    Raises:
        UserError: When it is not such a file, or needs features that this version does not measure.
    """
    try:
        if path.stat().st_size > LONGEST:
            msg = f"it has more than {LONGEST} bytes"
            raise ValueError(msg)
        return _parse(json.loads(path.read_text(encoding="utf-8")), known)
    except (
        OSError,
        ValueError,
        KeyError,
        TypeError,
        AttributeError,
        IndexError,
        OverflowError,
        RecursionError,
    ) as error:
        reason = f"it lacks {error}" if isinstance(error, KeyError) else str(error)[:200]
        msg = f"{path} is no calibration of this version of segment ({reason}); make it again, or remove it"
        raise UserError(msg) from error


def _parse(content: Any, known: Sequence[str]) -> Calibration:  # noqa: ANN401
    if content["format"] != FORMAT or content["version"] != VERSION:
        msg = f"it has format {content['format']!r} and version {content['version']!r}, not {FORMAT!r} and {VERSION}"
        raise ValueError(msg)
    features = content["features"]
    if not isinstance(features, list) or not 1 <= len(features) <= MOST_FEATURES:
        msg = f"features must be a list of 1 to {MOST_FEATURES} names"
        raise ValueError(msg)
    unknown = [str(name) for name in features if name not in known]
    if unknown:
        msg = f"it needs the feature {unknown[0]}"
        raise ValueError(msg)
    missing, red_below = float(content["missing"]), float(content["red_below"])
    usual = {str(name): (float(low), float(high)) for name, (low, high) in content["usual"].items()}
    if not np.isfinite([missing, red_below, *(end for ends in usual.values() for end in ends)]).all():
        msg = "it has numbers that are not finite"
        raise ValueError(msg)
    return Calibration(
        checkpoint=str(content["checkpoint"]),
        features=features,
        score=parse_trees(content["score"], len(features)),
        curve=_parse_curve(content["curve"]),
        alone={
            str(name): (parse_trees(one["score"], 1), _parse_curve(one["curve"]))
            for name, one in content["alone"].items()
            if name in features
        },
        usual=usual,
        made_from=dict(content["made_from"]),
        missing=missing,
        red_below=red_below,
    )


def read_curve(curve: np.ndarray, scores: np.ndarray) -> np.ndarray:
    """Dice and the ends of its interval (N,3) for scores (N,)."""
    return np.stack([np.interp(scores, curve[:, 0], column) for column in curve[:, 1:].T], axis=1)


def _parse_curve(content: Any) -> np.ndarray:  # noqa: ANN401
    curve = np.array(content, float)
    if curve.ndim != 2 or curve.shape[1] != 4 or not 1 <= len(curve) <= MOST_KNOTS:
        msg = f"curve must be 1 to {MOST_KNOTS} knots of four numbers"
        raise ValueError(msg)
    score, dice, low, high = curve.T
    if not np.isfinite(curve).all() or (np.diff(score) < 0).any():
        msg = "the scores of curve must be numbers in rising order"
        raise ValueError(msg)
    if (low < 0).any() or (low > dice).any() or (dice > high).any() or (high > 1).any():
        msg = "curve must have 0 <= low <= Dice <= high <= 1"
        raise ValueError(msg)
    return curve
