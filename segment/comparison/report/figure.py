"""Figure of a comparison: every patient, every mean, every interval."""

import io
from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from segment.comparison.comparison import Comparison
from segment.comparison.report.numbers import TITLES, scaled, unit
from segment.comparison.statistics.average import nan_means
from segment.comparison.statistics.seeds import seed_means

PAIRS = 6  # more would make metres of picture
_DPI = 130
_MOST_PX = 30_000  # of the figure's height, which grows with arms and organs; Agg renders less than 2¹⁶
_WIDTH = 4.6  # inches, of one metric
_ARM, _ORGAN = 0.26, 0.42  # inches, of one line of scores and of differences
_HEAD = 0.95
_BELOW = 0.14  # of a line: intervals lie above the patients, not upon them
# Okabe & Ito, those that stand out on white.
_COLORS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#666666")
_INK, _FAINT, _OPEN = "#222222", "#BBBBBB", "#777777"


def draw_comparison(comparison: Comparison) -> bytes:
    """A PNG: on top the scores of every arm, below the paired differences of up to `PAIRS` pairs.

    Small dots are patients, each the mean of the arm's seeds; lines join the dots of one patient. Diamonds are means
    over patients with their intervals, ticks above them the seeds. Intervals of differences that may be claimed have
    the better arm's colour, others are grey.
    """
    pairs = comparison.pairs[:PAIRS]
    heights = [_HEAD + len(comparison.organs) * (len(comparison.arms) * _ARM + 0.12)]
    heights += [_HEAD + len(comparison.organs) * _ORGAN] * len(pairs)
    legend = 0.22 * (1 + len(comparison.arms))
    columns = len(comparison.metrics)
    height = sum(heights) + legend
    dpi = min(_DPI, _MOST_PX / height)
    figure = Figure((0.9 + _WIDTH * columns, height), dpi=dpi, layout="constrained", facecolor="white")
    FigureCanvasAgg(figure)
    axes = figure.subplots(len(heights), columns, squeeze=False, height_ratios=heights, sharey="row")
    for column, metric in enumerate(comparison.metrics):
        _draw_scores(axes[0, column], comparison, metric)
        for row, pair in enumerate(pairs, start=1):
            _draw_differences(axes[row, column], comparison, pair, metric)
    _draw_legend(figure, comparison)
    picture = io.BytesIO()
    figure.savefig(picture, format="png", dpi="figure", facecolor="white")
    return picture.getvalue()


def _color(comparison: Comparison, letter: str) -> str:
    index = [arm.letter for arm in comparison.arms].index(letter)
    return _COLORS[index % len(_COLORS)]


def _draw_scores(axes: Axes, comparison: Comparison, metric: str) -> None:
    """Patients, mean and interval of every arm, arms below each other within an organ."""
    count = len(comparison.arms)
    for block, organ in enumerate(comparison.organs):
        lines = [block * (count + 0.6) + place for place in range(count)]
        scores = [comparison.scores[arm.letter][organ, metric].values for arm in comparison.arms]
        patients = np.array([nan_means(one, axis=0) for one in scores])  # (arms, patients)
        axes.plot(patients, np.add(lines, _BELOW), color=_FAINT, linewidth=0.5, zorder=1)
        for arm, line, one, each in zip(comparison.arms, lines, scores, patients, strict=True):
            color = _color(comparison, arm.letter)
            axes.plot(
                each, np.full(len(each), line + _BELOW), "o", color=color, markersize=3.2, alpha=0.45, mew=0, zorder=2
            )
            if len(one) > 1:
                axes.plot(seed_means(one), np.full(len(one), line - 0.4), "|", color=color, markersize=5, zorder=3)
            summary = comparison.summaries[arm.letter][organ, metric]
            _draw_interval(axes, line - _BELOW, summary.mean, (summary.low, summary.high), color)
            if count > 1:  # colours come again after seven arms
                place = axes.get_yaxis_transform()
                axes.text(1.005, line, arm.letter, transform=place, color=color, fontsize=8, va="center")
    middles = [block * (count + 0.6) + (count - 1) / 2 for block in range(len(comparison.organs))]
    _finish(axes, comparison, middles, TITLES[metric], len(comparison.organs) * (count + 0.6) - 1.1)


def _draw_differences(axes: Axes, comparison: Comparison, pair: tuple[str, str], metric: str) -> None:
    """Each patient's difference, their mean and interval."""
    first, second = pair
    axes.axvline(0, color=_INK, linewidth=0.8, zorder=1)
    for line, one in enumerate(comparison.of_pair(pair, metric)):
        left, right = (nan_means(comparison.scores[arm][one.organ, metric].values, axis=0) for arm in pair)
        each = scaled(metric, 1.0) * (right - left)
        color = _color(comparison, one.better) if one.better else _OPEN
        axes.plot(each, line + _BELOW + _spread(each), "o", color=color, markersize=3.2, alpha=0.45, mew=0, zorder=2)
        found = one.difference
        mean, low, high = (scaled(metric, value) for value in (found.mean, found.low, found.high))
        _draw_interval(axes, line - _BELOW, mean, (low, high), color)
    better = ("lower" if metric in comparison.settings.lower_is_better else "higher") + " is better"
    label = f"{second} minus {first}, {TITLES[metric].split()[0]} in {unit(metric)} ({better})"
    _finish(axes, comparison, list(range(len(comparison.organs))), label, len(comparison.organs) - 0.5)


def _draw_interval(axes: Axes, line: float, mean: float, ends: tuple[float, float], color: str) -> None:
    axes.plot(ends, (line, line), color=color, linewidth=2.4, solid_capstyle="butt", zorder=4)
    axes.plot([mean], [line], "D", color=color, markersize=6, markeredgecolor="white", markeredgewidth=0.9, zorder=5)


def _spread(values: np.ndarray) -> np.ndarray:
    """Small steps up and down, so that equal values do not hide each other."""
    steps: np.ndarray = 0.07 * (np.arange(len(values)) % 5 - 1)
    return steps


def _finish(axes: Axes, comparison: Comparison, middles: Sequence[float], label: str, end: float) -> None:
    axes.set_ylim(end, -0.7)  # the first organ on top
    axes.set_yticks(middles, [organ.replace("_", " ") for organ in comparison.organs])
    for text in axes.get_yticklabels():
        text.set_parse_math(False)
    axes.set_xlabel(label, color=_INK, fontsize=9).set_parse_math(False)
    axes.tick_params(axis="y", length=0, labelsize=9)
    axes.tick_params(axis="x", labelsize=8)
    axes.grid(axis="x", color="#EEEEEE", zorder=0)
    axes.set_axisbelow(True)
    for side in ("top", "right", "left"):
        axes.spines[side].set_visible(False)


def _draw_legend(figure: Figure, comparison: Comparison) -> None:
    handles = [
        Line2D([], [], color=_color(comparison, arm.letter), marker="D", linewidth=2.4, label=_cut(arm.title))
        for arm in comparison.arms
    ]
    if comparison.pairs:
        more = f" (first {PAIRS} of {len(comparison.pairs)} pairs)" if len(comparison.pairs) > PAIRS else ""
        handles.append(Line2D([], [], color=_OPEN, marker="D", linewidth=2.4, label=f"can't be told apart{more}"))
    legend = figure.legend(handles=handles, loc="outside upper left", ncols=1, frameon=False, fontsize=9)
    for text in legend.get_texts():
        text.set_parse_math(False)


def _cut(text: str) -> str:
    return text if len(text) <= 100 else f"{text[:99]}…"
