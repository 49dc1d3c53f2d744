"""Pictures of a search: what its trials reached, and which parameters matter."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from segment.files import atomic_write

_DPI = 125
_BLUE, _ORANGE, _GREY = "#0072B2", "#D55E00", "#777777"  # of segment/view/colors.py's palette, and grey


def write_history(path: Path, trials: Sequence[tuple[int, str, float | None]], metric: str, direction: str) -> None:
    """Draw the value of every trial over its number, with the best so far as a line.

    Finished trials are dots, pruned ones open circles at the last value seen; those without a value are crosses below.

    Args:
        path: The picture, a PNG.
        trials: Number, state (`complete`, `pruned`, `fail`, `running`) and value.
        metric: What the value is.
        direction: maximize or minimize.
    """
    figure, axes = _page(7, 4)
    done = [(number, value) for number, state, value in trials if state == "complete" and value is not None]
    pruned = [(number, value) for number, state, value in trials if state == "pruned" and value is not None]
    nothing = [number for number, state, value in trials if value is None and state in ("fail", "pruned")]
    if done:
        axes.step(*_best_so_far(done, direction), where="post", color=_ORANGE, label="best so far")
        axes.plot(*zip(*done, strict=True), "o", color=_BLUE, label="finished")
    if pruned:
        axes.plot(*zip(*pruned, strict=True), "o", color=_BLUE, markerfacecolor="none", label="pruned, last value")
    if nothing:
        # At the lower edge, whatever the values.
        bottom = axes.get_xaxis_transform()
        axes.plot(nothing, [0.02] * len(nothing), "x", color=_GREY, transform=bottom, label="failed")
    axes.set(xlabel="trial", ylabel=metric)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    if done or pruned or nothing:
        axes.legend(frameon=False)
    _save(figure, path)


def write_importance(path: Path, importance: Mapping[str, float], metric: str) -> None:
    """Draw a bar per parameter, the most important on top.

    Args:
        path: The picture, a PNG.
        importance: Share by parameter, the largest first.
        metric: What the parameters are important for.
    """
    figure, axes = _page(7, 1.2 + 0.4 * len(importance))
    names, shares = list(importance)[::-1], list(importance.values())[::-1]
    bars = axes.barh(names, shares, color=_BLUE)
    axes.bar_label(bars, [f"{share:.2f}" for share in shares], padding=3)
    axes.set(xlabel=f"importance for {metric} (PED-ANOVA)", xlim=(0, 1.1 * max(shares)))
    _save(figure, path)


def _best_so_far(done: Sequence[tuple[int, float]], direction: str) -> tuple[list[int], list[float]]:
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
    with atomic_write(path) as aside:
        figure.savefig(aside, format="png", dpi=_DPI)
