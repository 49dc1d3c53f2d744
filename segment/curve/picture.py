"""curve.png: the scores of the trainings, and the curve through them, for each organ."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import NullFormatter, ScalarFormatter

from segment.curve.answer import Answer
from segment.curve.scores import Scores
from segment.files import atomic_write

_DPI = 125
_BLUE, _ORANGE, _GREY = "#0072B2", "#D55E00", "#777777"  # the palette of segment/view/colors.py, and grey
_COLUMNS = 2
_SHOWN = 4  # the curves are drawn up to this many times the largest number of CTs


def write_picture(path: Path, answers: Sequence[Answer], scores: Sequence[Scores], have: int) -> None:
    """Draw a panel for each organ.

    Args:
        path: The PNG file.
        answers: Of each organ.
        scores: Of each organ.
        have: Number of CTs that can train.
    """
    rows = -(-len(answers) // _COLUMNS)
    figure = Figure(figsize=(5 * _COLUMNS, 0.4 + 3.4 * rows), dpi=_DPI, layout="constrained")
    FigureCanvasAgg(figure)
    panels = figure.subplots(rows, _COLUMNS, squeeze=False).flat
    for axes, one, of_organ in zip(panels, answers, scores, strict=False):
        _draw(axes, one, of_organ, have)
    for axes in list(panels)[len(answers) :]:
        axes.set_visible(False)
    by_label: dict[str, Artist] = {}  # a panel without a curve does not have all
    for axes in figure.axes:
        handles, labels = axes.get_legend_handles_labels()
        by_label |= dict(zip(labels, handles, strict=True))
    figure.legend(
        handles=list(by_label.values()),
        labels=list(by_label),
        loc="outside lower center",
        frameon=False,
        ncols=len(by_label),
        fontsize="small",
    )
    with atomic_write(path) as temporary:
        figure.savefig(temporary, format="png", dpi=_DPI)


def _draw(axes: Axes, one: Answer, scores: Scores, have: int) -> None:
    """Dots are trainings, bars the means with their interval, and the band is the curve with its interval."""
    axes.spines[["top", "right"]].set_visible(False)
    axes.set(xscale="log", title=one.organ.replace("_", " "), xlabel="training CTs", ylabel="Dice")
    axes.xaxis.set_major_formatter(ScalarFormatter())
    axes.xaxis.set_minor_formatter(NullFormatter())
    scored = scores.dice[~np.isnan(scores.dice).any(axis=1)]
    if len(scored):
        axes.plot(scores.sizes, scored.mean(axis=0), "o", color=_GREY, markersize=4, alpha=0.6, label="one training")
        axes.set_xticks(sorted({*scores.sizes.tolist(), have}))
    if one.measured:
        value, low, high = np.array([(e.value, e.low, e.high) for e in one.measured.values()]).T
        bars = axes.errorbar(list(one.measured), value, (value - low, high - value), fmt="D", color=_BLUE, capsize=3)
        bars.set_label("mean, 90 % interval")
    limit = _SHOWN * max(one.measured, default=0)
    drawn = {size: estimate for size, estimate in one.predicted.items() if size <= max(limit, 2 * have)}
    if drawn:
        value, low, high = np.array([(e.value, e.low, e.high) for e in drawn.values()]).T
        axes.plot(list(drawn), value, color=_BLUE, label="curve")
        axes.fill_between(list(drawn), low, high, color=_BLUE, alpha=0.2, linewidth=0, label="its 90 % interval")
    axes.axhline(one.target, color=_ORANGE, linestyle="--", label="target")
    axes.axvline(have, color=_GREY, linestyle=":", label="CTs that there are")
    axes.set_ylim(top=min(1, axes.get_ylim()[1]))
