"""How well a calibration judges organs whose Dice is known: its report card."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from rich.console import Console
from rich.table import Table
from scipy.stats import spearmanr

from segment.anatomy.anatomy import Anatomy
from segment.inference.confidence.calibration import Calibration, read_curve
from segment.inference.confidence.confidence import GOOD_DICE, Confidence
from segment.inference.confidence.judge import judge
from segment.inference.confidence.table import Row, feature_matrix

FALSE_ALARMS = 0.05  # at which the detection of bad organs is compared
SIDES_EXCHANGED = ("mirrored",)  # faults that exchange right and left


@dataclass(frozen=True)
class Judged:
    """Organs with their confidence.

    Attributes:
        rows: The organs.
        confidences: One for each.
        alone: For each feature that is compared, the Dice predicted from it alone, for organs that their masks have.
    """

    rows: Sequence[Row]
    confidences: Sequence[Confidence]
    alone: Mapping[str, np.ndarray]

    def only(self, fault: str) -> "Judged":
        """The organs of one fault."""
        chosen = [index for index, row in enumerate(self.rows) if row.fault == fault]
        return Judged([self.rows[i] for i in chosen], [self.confidences[i] for i in chosen], {})


def judge_rows(rows: Sequence[Row], calibration: Calibration, anatomy: Anatomy) -> Judged:
    """Judge every row as `segment predict` would."""
    confidences = [judge(row.findings, {row.organ: row.flags}, anatomy, calibration)[row.organ] for row in rows]
    found = [row for row in rows if row.features]
    features = feature_matrix(found, calibration.missing)
    alone = {}
    for name, (score, curve) in calibration.alone.items():
        column = features[:, [list(calibration.features).index(name)]]
        alone[name] = read_curve(curve, score(column))[:, 0]
    return Judged(rows, confidences, alone)


def card(judged: Judged) -> dict[str, Any]:
    """The figures. Dice are compared for organs that their masks have; colours for missed organs, too.

    NaN where there is nothing to compare.
    """
    pairs = [(row, one) for row, one in zip(judged.rows, judged.confidences, strict=True) if one.dice is not None]
    dice = np.array([row.dice for row, _ in pairs])
    predicted = np.array([one.dice for _, one in pairs], float)
    low, high = (np.array([getattr(one, end) for _, one in pairs], float) for end in ("low", "high"))
    all_dice = np.array([row.dice for row in judged.rows])
    colors = np.array([one.color or "none" for one in judged.confidences])
    bad = all_dice < GOOD_DICE
    exchanged = np.array([row.fault in SIDES_EXCHANGED for row in judged.rows], bool)
    return {
        "cases": len({row.case for row in judged.rows}),
        "organs": len(judged.rows),
        "bad": int(bad.sum()),
        **_scores(dice, predicted),
        "coverage": _mean((low <= dice) & (dice <= high)),
        "width": _mean(high - low),
        "width_good": _mean((high - low)[dice >= GOOD_DICE]),
        "red_of_bad": _mean(colors[bad] == "red"),
        "red_of_good": _mean(colors[~bad] == "red"),
        "red_or_amber_of_bad": _mean(np.isin(colors[bad], ("red", "amber"))),
        "red_or_amber_of_good": _mean(np.isin(colors[~bad], ("red", "amber"))),
        "bad_of_green": _mean(bad[colors == "green"]),
        "green_with_sides_exchanged": int(((colors == "green") & exchanged & bad).sum()),
        "organs_with_sides_exchanged": int((exchanged & bad).sum()),
        "alone": {name: _scores(dice, values) for name, values in judged.alone.items()},
    }


def _scores(dice: np.ndarray, predicted: np.ndarray) -> dict[str, float]:
    """Mean absolute error, rank correlation, and the share of bad organs found at `FALSE_ALARMS`."""
    bad = dice < GOOD_DICE
    enough = len(dice) > 2 and dice.std() > 0 and predicted.std() > 0
    limit = np.quantile(predicted[~bad], FALSE_ALARMS) if (~bad).any() else np.nan
    return {
        "mae": _mean(np.abs(dice - predicted)),
        "spearman": float(spearmanr(dice, predicted).statistic) if enough else float("nan"),
        "found_at_5_percent": _mean(predicted[bad] < limit) if (~bad).any() else float("nan"),
    }


def _mean(values: np.ndarray) -> float:
    return float(np.mean(values)) if len(values) else float("nan")


def print_card(judged: Judged) -> None:
    """Print the figures for all organs, for each fault, and those of single features."""
    faults = sorted({row.fault for row in judged.rows}, key=lambda name: (name != "sound", name))
    parts = {"all": judged, **{fault: judged.only(fault) for fault in faults}}
    table = Table(title="confidence: predicted against true Dice")
    headings = ("", "organs", "bad", "MAE", "Spearman", "covered", "width, good", "bad: red", "good: red", "bad: green")
    for heading in headings:
        table.add_column(heading, justify="right" if heading else "left")
    for name, part in parts.items():
        figures = card(part)
        green = sum(
            one.color == "green" and row.dice < GOOD_DICE for row, one in zip(part.rows, part.confidences, strict=True)
        )
        keys = ("mae", "spearman", "coverage", "width_good", "red_of_bad", "red_of_good")
        table.add_row(
            name, str(figures["organs"]), str(figures["bad"]), *(_text(figures[key]) for key in keys), str(green)
        )
    console = Console(width=120)
    console.print(table)
    figures = card(judged)
    alone = Table(title=f"organs with Dice below {GOOD_DICE}, found at {FALSE_ALARMS:.0%} false alarms")
    for heading in ("from", "MAE", "Spearman", "found"):
        alone.add_column(heading, justify="right" if heading != "from" else "left")
    for name, scores in {"all features": figures, **figures["alone"]}.items():
        alone.add_row(name, *(_text(scores[key]) for key in ("mae", "spearman", "found_at_5_percent")))
    console.print(alone)


def _text(value: float) -> str:
    return "-" if np.isnan(value) else f"{value:.3f}"
