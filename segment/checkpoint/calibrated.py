"""The calibration of a checkpoint, or of several together: a JSON file beside it, which names what made its masks."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from segment.errors import UserError
from segment.inference.confidence.calibration import SUFFIX, Calibration, read_calibration
from segment.inference.confidence.table import FEATURES

MAKE = "segment evaluate confidence=calibrate makes one, see docs/confidence.md"


@dataclass(frozen=True)
class Calibrated:
    """The calibration of a checkpoint, or why there is none.

    Attributes:
        calibration: None if there is none.
        words: Where it is from, or why there is none, as one line.
        path: Its file; None if there is none.
    """

    calibration: Calibration | None
    words: str
    path: Path | None = None


def identity(sha256: Sequence[str], tta: Sequence[str]) -> str:
    """What a calibration names: one SHA-256 for the networks in any order, and the views of a CT.

    Args:
        sha256: Of the checkpoint of each network. One checkpoint has its own.
        tta: The views of a CT that are averaged with it. They change the probabilities.
    """
    several = hashlib.sha256("\n".join(sorted(sha256)).encode()).hexdigest()
    return (sha256[0] if len(sha256) == 1 else several) + "".join(f"+{name}" for name in sorted(tta))


def calibration_path(paths: Sequence[Path], sha256: Sequence[str], tta: Sequence[str]) -> Path:
    """The file beside the first checkpoint: `best.confidence.json` for `best.ckpt`.

    With tta=[scaled] it is `best_scaled.confidence.json`, and for several checkpoints
    `ensemble_<8 digits>.confidence.json`.
    """
    name = paths[0].stem if len(paths) == 1 else f"ensemble_{identity(sha256, tta)[:8]}"
    return paths[0].with_name(f"{name}{''.join(f'_{one}' for one in sorted(tta))}{SUFFIX}")


def find_calibration(paths: Sequence[Path], sha256: Sequence[str], tta: Sequence[str]) -> Calibrated:
    """Find the calibration of checkpoints or exported files, of which several are averaged, beside any of them.

    Args:
        paths: The files.
        sha256: Of the checkpoint of each network; for an exported file, of the checkpoint that it was made from.
        tta: The views of each CT that are averaged with it.

    Raises:
        UserError: When a file beside a checkpoint is damaged, or two that differ both belong to these checkpoints.
    """
    name = calibration_path(paths, sha256, tta).name
    found = {path: read_calibration(path, FEATURES) for path in _beside(paths, name)}
    own = [path for path, calibration in found.items() if calibration.checkpoint == identity(sha256, tta)]
    if not own:
        why = f"{name} belongs to another checkpoint" if found else f"there is no {name} beside the checkpoint"
        return Calibrated(None, f"flags and reasons only: {why}; {MAKE}")
    first = own[0]
    words = f"predicted Dice from {found[first].made_from.get('masks', '?')} masks, see {name}"
    for other in own[1:]:
        if other.read_bytes() != first.read_bytes():
            msg = f"{first} and {other} are different calibrations of the same checkpoints; remove one of them"
            raise UserError(msg)
    return Calibrated(found[first], words, first)


def _beside(paths: Sequence[Path], name: str) -> list[Path]:
    """The files of a name in the folders of some files, each once."""
    places: dict[Path, Path] = {}
    for path in paths:
        places.setdefault(path.parent.resolve(), path.with_name(name))
    return [path for path in places.values() if path.is_file()]
