"""Scores and differences as text."""

import math

# Units in which a difference is told, and how many of them make one of the metric's own.
_UNITS = {"dice": ("points", 100.0), "nsd": ("points", 100.0), "hd95_mm": ("mm", 1.0)}
TITLES = {"dice": "Dice", "nsd": "NSD", "hd95_mm": "HD95 in mm"}


def unit(metric: str) -> str:
    """Points are hundredths."""
    return _UNITS[metric][0]


def scaled(metric: str, value: float) -> float:
    """A difference in the metric's unit of differences."""
    return value * _UNITS[metric][1]


def level(metric: str, value: float) -> str:
    """A score itself; a dash for NaN."""
    if math.isnan(value):
        return "-"
    return f"{value:.1f}" if metric == "hd95_mm" else f"{value:.3f}"


def gap(metric: str, value: float, *, signed: bool = False) -> str:
    """A difference, without its unit; two decimals where one would show nothing."""
    if math.isnan(value):
        return "-"
    if math.isinf(value):
        return "∞"
    value = scaled(metric, value)
    text = f"{abs(value):.1f}" if abs(value) >= 0.095 or value == 0 else f"{abs(value):.2f}"
    if float(text) == 0:
        return text
    return ("-" if value < 0 else "+" if signed else "") + text


def span(metric: str, low: float, high: float) -> str:
    """An interval of differences."""
    return "[-, -]" if math.isnan(low) else f"[{gap(metric, low)}, {gap(metric, high)}]"


def cost(parameters: int | None, hours: float | None) -> str:
    """Size and time of training: `16,601 parameters, 0.41 hours a run`; empty where both are unknown."""
    size = None if parameters is None else f"{parameters:,} parameters"
    time = None if hours is None else f"{hours:.2g} hours a run"
    return ", ".join(filter(None, (size, time)))


def chance(p: float) -> str:
    """A p value."""
    if math.isnan(p):
        return "-"
    return "<0.0001" if p < 0.0001 else f"{p:.4f}" if p < 0.001 else f"{p:.3f}" if p < 0.1 else f"{p:.2f}"
