"""Render the curves of a training: loss, Dice of each organ in validation, and learning rate."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from segment.files import atomic_write
from segment.view.colors import Color, organ_colors
from segment.view.page.run_folder import Curve, read_columns, read_curves

_DPI = 130
_BLUE, _VERMILLION, _GREEN = "#0072B2", "#D55E00", "#009E73"  # as on the page of a run
_INK = "#222222"
_FEW = 30  # values that are shown as dots as well, because a single one has no line
_DICE = "val/dice/"
# Lines of a panel: name, colour, style, and the columns of metrics.csv, of which the first that exists counts.
_LOSS = (
    ("training", _BLUE, "-", ("train/loss_step", "train/loss")),
    ("validation", _VERMILLION, "--", ("val/loss",)),
)
_RATE = (("learning rate", _GREEN, "-", ("train/lr",)),)

Line = tuple[str, str | Color, str, Curve]  # name, colour, style, points
Panel = tuple[str, Sequence[Line]]  # title, lines


def write_curves(path: Path, folder: Path) -> bool:
    """Render the curves of a run as a PNG. The write is atomic.

    Args:
        path: The picture.
        folder: The run folder, whose metrics.csv is read.

    Returns:
        Whether there was anything to render; if not, no file is written.
    """
    curves = read_curves(folder)
    organs = [column.removeprefix(_DICE) for column in read_columns(folder) if column.startswith(_DICE)]
    dice = _dice(curves, [organ for organ in organs if organ != "mean"])
    found = (_panel("Loss", _LOSS, curves), dice, _panel("Learning rate", _RATE, curves))
    panels = [panel for panel in found if panel is not None]
    if not panels:
        return False
    figure = Figure(figsize=(4.6 * len(panels), 3.4), dpi=_DPI, layout="constrained", facecolor="white")
    FigureCanvasAgg(figure)
    for axes, (title, lines) in zip(figure.subplots(1, len(panels), squeeze=False)[0], panels, strict=True):
        _plot(axes, title, lines)
    with atomic_write(path) as temporary:
        figure.savefig(temporary, format="png", dpi="figure")
    return True


def _panel(
    title: str, wanted: Sequence[tuple[str, str, str, Sequence[str]]], curves: Mapping[str, Curve]
) -> Panel | None:
    """A panel with the lines that the run has; None if it has none of them."""
    lines: list[Line] = []
    for name, color, style, columns in wanted:
        points = next((curves[column] for column in columns if column in curves), None)
        if points:
            lines.append((name, color, style, points))
    return (title, lines) if lines else None


def _dice(curves: Mapping[str, Curve], organs: Sequence[str]) -> Panel | None:
    """Dice of every organ that has one, in the colours of all organs, and their mean."""
    lines: list[Line] = []
    for organ, color in zip(organs, organ_colors(organs), strict=True):
        if _DICE + organ in curves:
            lines.append((organ.replace("_", " "), color, "-", curves[_DICE + organ]))
    if f"{_DICE}mean" in curves:
        lines.append(("mean", _INK, "--", curves[f"{_DICE}mean"]))
    return ("Dice in validation", lines) if lines else None


def _plot(axes: Axes, title: str, lines: Sequence[Line]) -> None:
    for name, color, style, points in lines:
        marker = "." if len(points) <= _FEW else ""
        axes.plot(*zip(*points, strict=True), color=color, linestyle=style, marker=marker, linewidth=1.6, label=name)
    axes.set_title(title, fontsize=11)
    axes.set_xlabel("step")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True, nbins=6))
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(axis="y", color="#DDDDDD", linewidth=0.8)
    if title.startswith("Dice"):
        axes.set_ylim(0, 1)
    if len(lines) > 1:
        axes.legend(frameon=False, fontsize=8)
