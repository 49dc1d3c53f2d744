"""The line that each epoch prints in the terminal and the log."""

from collections.abc import Mapping, Sequence

from torch import Tensor

_NONE = "-"


def epoch_lines(
    epoch: str, metrics: Mapping[str, Tensor], organs: Sequence[str], remaining_s: float | None, width: int
) -> tuple[str, str]:
    """Header and line of an epoch.

    If there is no room for the Dice of every organ, the line shows the lowest Dice and its organ instead.

    Args:
        epoch: Number of the epoch and of all epochs, e.g. `3/100`.
        metrics: Logged values by name. A missing value is shown as a dash, e.g. in an epoch without validation.
        organs: Organs that may have a Dice.
        remaining_s: Seconds until the end of the run, or None.
        width: Width of the terminal in columns.
    """
    cells = {"epoch": f"{epoch:>7}", "loss": _format(metrics, "train/loss"), "dice": _format(metrics, "val/dice/mean")}
    end = {"time left": _NONE if remaining_s is None else duration(remaining_s)}
    dice = {organ: _format(metrics, f"val/dice/{organ}") for organ in organs}
    header, line = _align(cells | dice | end)
    if len(header) > width:
        header, line = _align(cells | end | {"lowest dice": _lowest(dice)})
    return header, line[:width]


def duration(seconds: float) -> str:
    """Hours, minutes and seconds, e.g. 1:02:03."""
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes // 60}:{minutes % 60:02}:{rest:02}"


def _lowest(dice: Mapping[str, str]) -> str:
    """The lowest Dice and its organ, e.g. `0.412 spleen`; a dash if no organ has one."""
    known = {organ: text for organ, text in dice.items() if text != _NONE}
    if not known:
        return _NONE
    organ = min(known, key=lambda name: float(known[name]))
    return f"{known[organ]} {organ}"


def _align(cells: Mapping[str, str]) -> tuple[str, str]:
    widths = {name: max(len(name), len(text), 5) for name, text in cells.items()}
    header = "  ".join(f"{name:>{widths[name]}}" for name in cells)
    return header, "  ".join(f"{text:>{widths[name]}}" for name, text in cells.items())


def _format(metrics: Mapping[str, Tensor], name: str) -> str:
    value = float(metrics.get(name, float("nan")))
    return _NONE if value != value else f"{value:.3f}"
