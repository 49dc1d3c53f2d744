"""The closing lines of `segment predict` about the confidence."""

from collections import Counter
from collections.abc import Iterable
from pathlib import Path

from segment.inference.confidence.confidence import Color
from segment.inference.outputs.names import report_path
from segment.inference.outputs.report import read_confidences

SHOWN = 10  # organs that are named
COLORS: tuple[Color | None, ...] = ("green", "amber", "red", None)


def confidence_lines(output: Path, cases: Iterable[str], words: str) -> list[str]:
    """How many organs have each colour, and which are red or amber, with the reasons.

    Args:
        output: The folder of the masks.
        cases: Names of the CTs that have a mask.
        words: Where predicted Dice come from, or why there are none.

    Returns:
        Lines to print; none if there is no mask.
    """
    found = {(case, organ): one for case in cases for organ, one in read_confidences(report_path(output, case)).items()}
    if not found:
        return []
    counts = Counter(one.color for one in found.values())
    shares = [f"{counts[color]} {color or 'without a color'}" for color in COLORS if counts[color]]
    lines = [f"confidence in {len(found)} organs: {', '.join(shares)} ({words})"]
    doubtful = [pair for color in ("red", "amber") for pair in found.items() if pair[1].color == color]
    lines += [f"  {case} {organ}: {one}" for (case, organ), one in doubtful[:SHOWN]]
    if len(doubtful) > SHOWN:
        lines.append(f"  and {len(doubtful) - SHOWN} more in red or amber, see volumes.csv")
    return lines
