"""Judge every organ of a mask: predicted Dice, colour, reasons."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from segment.anatomy.anatomy import Anatomy
from segment.inference.confidence.calibration import Calibration
from segment.inference.confidence.confidence import GOOD_DICE, Color, Confidence
from segment.inference.confidence.features import Findings, measure_features
from segment.inference.confidence.reasons import ct_reasons, organ_reasons
from segment.inference.segmenter import Segmented
from segment.io.scan import Scan

WHOLE = 0.95  # share of the largest piece from which other pieces are harmless
HARMLESS = ("cut",)  # kinds of reasons that change no colour: the mask may be right
SEVERE = ("side",)  # kinds that make an organ red, whatever the predicted Dice
DIGITS = 3


def judge(
    findings: Findings, flags: Mapping[str, Sequence[str]], anatomy: Anatomy, calibration: Calibration | None
) -> dict[str, Confidence]:
    """The confidence in each organ.

    Args:
        findings: What was measured in the mask with all organs of the checkpoint.
        flags: The organs to judge, with their flags; see `organ_flags`.
        anatomy: Usual volumes, sides and positions.
        calibration: That of the checkpoint; without one, no Dice is predicted and nothing is green.
    """
    result = {}
    for organ, own_flags in flags.items():
        features = findings.features.get(organ)
        if features is None:
            is_empty = not findings.features and organ in anatomy.centre_mm
            result[organ] = _absent(findings.in_view.get(organ), own_flags, is_empty)
        else:
            result[organ] = _present(organ, features, own_flags, anatomy, calibration)
    return result


@dataclass(frozen=True)
class Judge:
    """What a mask is judged by, and the calibration of its checkpoint.

    Attributes:
        findings: As in `judge`.
        calibration: Likewise.
    """

    findings: Findings
    calibration: Calibration | None

    @staticmethod
    def of(
        scan: Scan, segmented: Segmented, organs: Sequence[str], anatomy: Anatomy, calibration: Calibration | None
    ) -> "Judge":
        """Measure a mask that was segmented with its evidence; see `Segmenter.segment`."""
        assert segmented.evidence is not None
        findings = measure_features(scan, segmented.mask, segmented.evidence, organs, anatomy)
        return Judge(findings, calibration)

    def add_to(self, entries: Sequence[dict[str, Any]], anatomy: Anatomy) -> None:
        """Add `confidence`, as plain values, to the organs of a report, which have their flags."""
        flags = {entry["organ"]: entry["flags"] for entry in entries}
        judged = judge(self.findings, flags, anatomy, self.calibration)
        for entry in entries:
            entry["confidence"] = judged[entry["organ"]].to_plain()


def without_network(flags: Sequence[str]) -> Confidence:
    """The confidence in an organ of a mask that was kept from an earlier call, which did not record one."""
    return Confidence(_color_of(flags), None, None, None, tuple(flags))


def _present(
    organ: str, features: Mapping[str, float], flags: Sequence[str], anatomy: Anatomy, calibration: Calibration | None
) -> Confidence:
    reasons = [*flags, *organ_reasons(organ, features, anatomy)]
    harmless = (*HARMLESS, "pieces") if features["largest_piece"] >= WHOLE else HARMLESS
    if calibration is None:
        return Confidence(_color_of(reasons, harmless), None, None, None, tuple(reasons))
    reasons += ct_reasons(features, calibration.usual)
    dice, low, high = calibration.predict(features)
    color = _color_of(reasons, harmless) or "green"
    if color == "green" and low < GOOD_DICE:
        color = "amber"
        reasons.append(f"dice: its Dice may be as low as {low:.2f}")
    if color != "red" and dice < calibration.red_below:
        color = "red"
        reasons.append(f"dice: predicted is {dice:.2f}, below {calibration.red_below:.2f}")
    return Confidence(color, round(dice, DIGITS), round(low, DIGITS), round(high, DIGITS), tuple(reasons))


def _absent(in_view: bool | None, flags: Sequence[str], is_empty: bool) -> Confidence:
    """An organ that the mask does not have. Whether the CT shows it is not known.

    Args:
        in_view: As in `Findings`.
        flags: Its flags.
        is_empty: Whether the mask has no organ at all: another part of the body, or a failure.
    """
    if is_empty:
        return Confidence("red", None, None, None, (*flags, "empty: the mask has no organ at all"))
    if in_view is None:
        return Confidence("amber", None, None, None, tuple(flags))
    if in_view:
        return Confidence("red", None, None, None, (*flags, "place: the scan covers its usual place"))
    return Confidence(None, None, None, None, (*flags, "place: its usual place is outside of the scan"))


def _color_of(reasons: Sequence[str], harmless: Sequence[str] = HARMLESS) -> Color | None:
    kinds = {reason.partition(":")[0] for reason in reasons} - {*harmless}
    if kinds & {*SEVERE}:
        return "red"
    return "amber" if kinds else None
