"""Formats scores, differences, p-values and costs as text."""

import math

from segment.metrics.definitions import METRICS


def in_unit(metric: str, difference: float) -> float:
    """A difference in the unit of differences, e.g. 1.8 points for a Dice of 0.018."""
    return difference * METRICS[metric].scale


def format_score(metric: str, score: float) -> str:
    """A score in the metric's own unit; a dash for NaN."""
    if math.isnan(score):
        return "-"
    return f"{score:.{METRICS[metric].digits}f}"


def format_difference(metric: str, difference: float, *, signed: bool = False) -> str:
    """A difference without its unit; two decimals if one decimal would show zero."""
    if math.isnan(difference):
        return "-"
    if math.isinf(difference):
        return "∞"
    value = in_unit(metric, difference)
    text = f"{abs(value):.1f}" if abs(value) >= 0.095 or value == 0 else f"{abs(value):.2f}"
    if float(text) == 0:
        return text
    if value < 0:
        return f"-{text}"
    return f"+{text}" if signed else text


def format_interval(metric: str, low: float, high: float) -> str:
    """An interval of differences without its unit."""
    if math.isnan(low):
        return "[-, -]"
    return f"[{format_difference(metric, low)}, {format_difference(metric, high)}]"


def format_cost(parameters: int | None, hours: float | None) -> str:
    """Size and training time, e.g. `16,601 parameters, 0.41 hours per run`; empty if both are unknown."""
    parts = []
    if parameters is not None:
        parts.append(f"{parameters:,} parameters")
    if hours is not None:
        parts.append(f"{hours:.0f} hours per run" if hours >= 10 else f"{hours:.2g} hours per run")
    return ", ".join(parts)


def format_p(p: float) -> str:
    """A p-value; a dash for NaN."""
    if math.isnan(p):
        return "-"
    if p < 0.0001:
        return "<0.0001"
    if p < 0.001:
        return f"{p:.4f}"
    return f"{p:.3f}" if p < 0.1 else f"{p:.2f}"
