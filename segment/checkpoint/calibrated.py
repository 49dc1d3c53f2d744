"""The calibration of a checkpoint: a JSON file beside it, which names the checkpoint by its SHA-256."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from segment.inference.confidence.calibration import SUFFIX, Calibration, read_calibration
from segment.inference.confidence.table import FEATURES

MAKE = "segment evaluate ckpt=<checkpoint> confidence=calibrate makes one, see docs/confidence.md"


@dataclass(frozen=True)
class Calibrated:
    """The calibration of a checkpoint, or why there is none.

    Attributes:
        calibration: None if there is none.
        words: Where it is from, or why there is none, as one line.
    """

    calibration: Calibration | None
    words: str


def calibration_path(checkpoint: Path) -> Path:
    """The file beside a checkpoint: `best.confidence.json` for `best.ckpt`."""
    return checkpoint.with_name(checkpoint.stem + SUFFIX)


def find_calibration(paths: Sequence[Path], sha256: Sequence[str]) -> Calibrated:
    """Find the calibration of checkpoints. Several, whose probabilities are averaged, have none.

    Args:
        paths: The checkpoints.
        sha256: Their hashes.

    Raises:
        UserError: When the file beside the checkpoint is damaged.
    """
    if len(paths) > 1:
        return Calibrated(None, "flags and reasons only: several checkpoints together have no calibration")
    path = calibration_path(paths[0])
    if not path.is_file():
        return Calibrated(None, f"flags and reasons only: there is no {path.name} beside the checkpoint; {MAKE}")
    calibration = read_calibration(path, FEATURES)
    if calibration.checkpoint != sha256[0]:
        return Calibrated(None, f"flags and reasons only: {path.name} belongs to another checkpoint; {MAKE}")
    made_from = calibration.made_from
    return Calibrated(calibration, f"predicted Dice from {made_from.get('masks', '?')} masks, see {path.name}")
