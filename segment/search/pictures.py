"""Plots of a search: the values of its trials, and the importance of its parameters."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from segment.files import atomic_write

_DPI = 125
_BLUE, _ORANGE, _GREY = "#0072B2", "#D55E00", "#777777"  # the palette of segment/view/colors.py, and grey


def write_history(path: Path, trials: Sequence[tuple[int, str, float | None]], metric: str, direction: str) -> None:
    """Plot the value of every trial against its number, with a line for the best so far.

    Finished trials are dots. Pruned trials are open circles at their last value. Trials without a value are crosses at
    the lower edge.

    Args:
        path: The PNG file to write.
        trials: Number, state (`complete`, `pruned`, `fail`, `running`) and value of each trial.
        metric: Name of the value.
        direction: maximize or minimize.
    """
    figure, axes = _page(7, 4)
    done: list[tuple[int, float]] = []
    pruned: list[tuple[int, float]] = []
    without_value: list[int] = []
    for number, state, value in trials:
        if state == "complete" and value is not None:
            done.append((number, value))
        elif state == "pruned" and value is not None:
            pruned.append((number, value))
        elif state in ("fail", "pruned") and value is None:
            without_value.append(number)
    if done:
        axes.step(*_best_so_far(done, direction), where="post", color=_ORANGE, label="best so far")
        axes.plot(*zip(*done, strict=True), "o", color=_BLUE, label="finished")
    if pruned:
        axes.plot(*zip(*pruned, strict=True), "o", color=_BLUE, markerfacecolor="none", label="pruned, last value")
    if without_value:
        bottom = axes.get_xaxis_transform()  # y=0.02 is just above the lower edge
        axes.plot(without_value, [0.02] * len(without_value), "x", color=_GREY, transform=bottom, label="failed")
    axes.set(xlabel="trial", ylabel=metric)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    if done or pruned or without_value:
        axes.legend(frameon=False)
    _save(figure, path)


def write_importance(path: Path, importance: Mapping[str, float], metric: str) -> None:
    """Plot a bar for each parameter, the most important one on top.

    Args:
        path: The PNG file to write.
        importance: Share by parameter, the largest first.
        metric: Name of the metric that the search optimises.
    """
    figure, axes = _page(7, 1.2 + 0.4 * len(importance))
    names, shares = list(importance)[::-1], list(importance.values())[::-1]
    bars = axes.barh(names, shares, color=_BLUE)
    axes.bar_label(bars, [f"{share:.2f}" for share in shares], padding=3)
    axes.set(xlabel=f"importance for {metric} (PED-ANOVA)", xlim=(0, 1.1 * max(shares)))
    _save(figure, path)


def _best_so_far(done: Sequence[tuple[int, float]], direction: str) -> tuple[list[int], list[float]]:
    """Numbers of the trials, and the best value up to each of them."""
    better = max if direction == "maximize" else min
    numbers: list[int] = []
    best: list[float] = []
    for number, value in sorted(done):
        numbers.append(number)
        best.append(better([value, *best[-1:]]))
    return numbers, best


def _page(width: float, height: float) -> tuple[Figure, Axes]:
    figure = Figure(figsize=(width, height), dpi=_DPI, layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots()
    axes.spines[["top", "right"]].set_visible(False)
    return figure, axes


def _save(figure: Figure, path: Path) -> None:
    with atomic_write(path) as temporary:
        figure.savefig(temporary, format="png", dpi=_DPI)
