"""How far one organ of a mask can be trusted."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal

Color = Literal["green", "amber", "red"]
GOOD_DICE = 0.8  # organs with a lower Dice are bad: they should be red, and none of them green


@dataclass(frozen=True)
class Confidence:
    """The confidence in one organ of one mask, estimated without a label.

    Attributes:
        color: red: probably wrong; amber: look at it; green: probably right. None if there is no reason for red or
            amber, and nothing that allows green: the checkpoint has no calibration, or the mask does not have the organ
            and its usual place is outside of the scan.
        dice: Predicted Dice, 0 to 1. None if the checkpoint has no calibration, or the mask does not have the organ.
        low: Lower end of the interval that holds the true Dice in 9 of 10 cases like those of the calibration.
        high: Its upper end.
        reasons: What to check, each one phrase that starts with its kind, for example `volume: 12 mL, plausible are 40
            to 600 mL`.
    """

    color: Color | None
    dice: float | None
    low: float | None
    high: float | None
    reasons: tuple[str, ...]

    def to_plain(self) -> dict[str, Any]:
        """Plain values for report.json."""
        return asdict(self) | {"reasons": list(self.reasons)}

    @staticmethod
    def from_plain(content: Mapping[str, Any]) -> "Confidence":
        """The reverse of `to_plain`.

        Raises:
            KeyError: When a field is missing.
            TypeError: When the reasons are no list.
        """
        color, dice, low, high = (content[name] for name in ("color", "dice", "low", "high"))
        return Confidence(color, dice, low, high, tuple(map(str, content["reasons"])))

    def __str__(self) -> str:
        """For example `amber, Dice 0.88 (0.71 to 0.95): pieces: 2, the second of 8 mL`."""
        color = self.color or "no color"
        dice = "" if self.dice is None else f", Dice {self.dice:.2f} ({self.low:.2f} to {self.high:.2f})"
        return f"{color}{dice}" + (f": {'; '.join(self.reasons)}" if self.reasons else "")
