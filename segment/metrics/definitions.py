"""The metrics of an organ: what they are called and how they are shown and compared.

Each is a field of `segment.metrics.scores.OrganScore`, which defines it and where it is computed.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Metric:
    """How a metric is shown and compared.

    Attributes:
        title: Name in tables, figures and verdicts; its first word is the short name.
        heading: Column of the table that a test prints.
        digits: Decimals of a score.
        unit: Unit of differences.
        scale: How many of these units are 1 of the metric, e.g. 100 points are a Dice of 1.
        bounds: Lowest and highest possible score.
        lower_is_better: Whether a lower score is better.
    """

    title: str
    heading: str
    digits: int
    unit: str
    scale: float
    bounds: tuple[float, float]
    lower_is_better: bool = False


METRICS: Mapping[str, Metric] = {
    "dice": Metric("Dice", "dice", 3, "points", 100, (0, 1)),
    "hd95_mm": Metric("HD95 in mm", "hd95 mm", 1, "mm", 1, (0, math.inf), lower_is_better=True),
    "nsd": Metric("NSD", "nsd", 3, "points", 100, (0, 1)),
}
