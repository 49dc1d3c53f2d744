"""The line that an epoch has in terminal and log."""

from collections.abc import Mapping, Sequence

from torch import Tensor

_NONE = "-"


def epoch_lines(
    epoch: str, metrics: Mapping[str, Tensor], organs: Sequence[str], left: float | None, width: int
) -> tuple[str, str]:
    """Header and line of an epoch.

    Args:
        epoch: Its number, of how many.
        metrics: What was logged; what was not, as in an epoch without validation, is a dash.
        organs: Those that may have a Dice.
        left: Seconds that the run will still take, or None.
        width: Columns that the line may take.
    """
    cells = {"epoch": f"{epoch:>7}", "loss": _number(metrics, "train/loss"), "dice": _number(metrics, "val/dice/mean")}
    end = {"time left": _NONE if left is None else duration(left)}
    each = {organ: _number(metrics, f"val/dice/{organ}") for organ in organs}
    header, line = _aligned(cells | each | end)
    if len(header) > width:
        known = {organ: text for organ, text in each.items() if text != _NONE}
        lowest = min(known, key=lambda organ: float(known[organ]), default=None)
        worst = _NONE if lowest is None else f"{known[lowest]} {lowest}"
        header, line = _aligned(cells | end | {"lowest dice": worst})
    return header, line[:width]


def duration(seconds: float) -> str:
    """Hours, minutes and seconds, as 1:02:03."""
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes // 60}:{minutes % 60:02}:{rest:02}"


def _aligned(cells: Mapping[str, str]) -> tuple[str, str]:
    widths = {name: max(len(name), len(text), 5) for name, text in cells.items()}
    header = "  ".join(f"{name:>{widths[name]}}" for name in cells)
    return header, "  ".join(f"{text:>{widths[name]}}" for name, text in cells.items())


def _number(metrics: Mapping[str, Tensor], name: str) -> str:
    value = float(metrics.get(name, float("nan")))
    return _NONE if value != value else f"{value:.3f}"
