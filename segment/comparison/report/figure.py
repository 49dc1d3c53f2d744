"""Figure of a comparison: scores of all patients, means and intervals."""

import io
from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from segment.comparison.comparison import Comparison
from segment.comparison.report.format import in_unit
from segment.comparison.statistics.mean import nan_means
from segment.comparison.statistics.seeds import seed_means
from segment.metrics.definitions import METRICS

MAX_PAIRS = 6  # bounds the height of the figure
_DPI = 130
_MAX_PX = 30_000  # height of the figure, which grows with arms and organs; Agg renders less than 2¹⁶
_WIDTH = 4.6  # inches for one metric
_ARM_HEIGHT, _ORGAN_HEIGHT = 0.26, 0.42  # inches for a line of scores and a line of differences
_PANEL_EXTRA = 0.95  # inches of a panel for its axis and margins
_OFFSET = 0.14  # patients are this far below the middle of a line and intervals above, so that they do not overlap
# The colours of Okabe & Ito that are easy to see on white.
_COLORS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#666666")
_INK, _FAINT, _NOT_SIGNIFICANT = "#222222", "#BBBBBB", "#777777"


def render_figure(comparison: Comparison) -> bytes:
    """A PNG with the scores of every arm at the top and the paired differences of up to `MAX_PAIRS` pairs below.

    Small dots are patients, each the mean of the arm's seeds; lines join the dots of one patient. Diamonds are means
    over patients with their intervals. Ticks above them are the means of single seeds. The intervals of significant
    differences have the better arm's colour, others are grey.
    """
    pairs = comparison.pairs[:MAX_PAIRS]
    heights = [_PANEL_EXTRA + len(comparison.organs) * (len(comparison.arms) * _ARM_HEIGHT + 0.12)]
    heights += [_PANEL_EXTRA + len(comparison.organs) * _ORGAN_HEIGHT] * len(pairs)
    legend = 0.22 * (1 + len(comparison.arms))
    columns = len(comparison.metrics)
    height = sum(heights) + legend
    dpi = min(_DPI, _MAX_PX / height)
    figure = Figure((0.9 + _WIDTH * columns, height), dpi=dpi, layout="constrained", facecolor="white")
    FigureCanvasAgg(figure)
    axes = figure.subplots(len(heights), columns, squeeze=False, height_ratios=heights, sharey="row")
    for column, metric in enumerate(comparison.metrics):
        _plot_scores(axes[0, column], comparison, metric)
        for row, pair in enumerate(pairs, start=1):
            _plot_differences(axes[row, column], comparison, pair, metric)
    _add_legend(figure, comparison)
    picture = io.BytesIO()
    figure.savefig(picture, format="png", dpi="figure", facecolor="white")
    return picture.getvalue()


def _color(comparison: Comparison, letter: str) -> str:
    index = [arm.letter for arm in comparison.arms].index(letter)
    return _COLORS[index % len(_COLORS)]


def _plot_scores(axes: Axes, comparison: Comparison, metric: str) -> None:
    """Plot the patients, mean and interval of every arm. The arms of an organ are one below the other."""
    count = len(comparison.arms)
    spacing = count + 0.6  # lines from one organ to the next
    for block, organ in enumerate(comparison.organs):
        lines = [block * spacing + position for position in range(count)]
        scores = [comparison.scores[arm.letter][organ, metric].values for arm in comparison.arms]
        patients = np.array([nan_means(of_arm, axis=0) for of_arm in scores])  # (arms, patients)
        axes.plot(patients, np.add(lines, _OFFSET), color=_FAINT, linewidth=0.5, zorder=1)
        for arm, line, of_arm, each in zip(comparison.arms, lines, scores, patients, strict=True):
            color = _color(comparison, arm.letter)
            _plot_patients(axes, each, np.full(len(each), line + _OFFSET), color)
            if len(of_arm) > 1:
                ticks = np.full(len(of_arm), line - 0.4)
                axes.plot(seed_means(of_arm), ticks, "|", color=color, markersize=5, zorder=3)
            summary = comparison.summaries[arm.letter][organ, metric]
            _plot_interval(axes, line - _OFFSET, summary.mean, (summary.low, summary.high), color)
            if count > 1:  # colours alone are ambiguous: they repeat after seven arms
                transform = axes.get_yaxis_transform()
                axes.text(1.005, line, arm.letter, transform=transform, color=color, fontsize=8, va="center")
    middles = [block * spacing + (count - 1) / 2 for block in range(len(comparison.organs))]
    _finish(axes, comparison, middles, METRICS[metric].title, len(comparison.organs) * spacing - 1.1)


def _plot_differences(axes: Axes, comparison: Comparison, pair: tuple[str, str], metric: str) -> None:
    """Plot the difference of each patient, with mean and interval."""
    first, second = pair
    axes.axvline(0, color=_INK, linewidth=0.8, zorder=1)
    for line, contrast in enumerate(comparison.contrasts_of(pair, metric)):
        left = nan_means(comparison.scores[first][contrast.organ, metric].values, axis=0)
        right = nan_means(comparison.scores[second][contrast.organ, metric].values, axis=0)
        each = in_unit(metric, 1.0) * (right - left)
        color = _color(comparison, contrast.better) if contrast.better else _NOT_SIGNIFICANT
        _plot_patients(axes, each, line + _OFFSET + _jitter(len(each)), color)
        difference = contrast.difference
        ends = in_unit(metric, difference.low), in_unit(metric, difference.high)
        _plot_interval(axes, line - _OFFSET, in_unit(metric, difference.mean), ends, color)
    better = "lower" if metric in comparison.settings.lower_is_better else "higher"
    label = f"{second} minus {first}, {METRICS[metric].title.split()[0]} in {METRICS[metric].unit} ({better} is better)"
    _finish(axes, comparison, list(range(len(comparison.organs))), label, len(comparison.organs) - 0.5)


def _plot_patients(axes: Axes, values: np.ndarray, lines: np.ndarray, color: str) -> None:
    axes.plot(values, lines, "o", color=color, markersize=3.2, alpha=0.45, mew=0, zorder=2)


def _plot_interval(axes: Axes, line: float, mean: float, ends: tuple[float, float], color: str) -> None:
    axes.plot(ends, (line, line), color=color, linewidth=2.4, solid_capstyle="butt", zorder=4)
    axes.plot([mean], [line], "D", color=color, markersize=6, markeredgecolor="white", markeredgewidth=0.9, zorder=5)


def _jitter(count: int) -> np.ndarray:
    """Small vertical offsets that keep equal values from hiding each other."""
    offsets: np.ndarray = 0.07 * (np.arange(count) % 5 - 1)
    return offsets


def _finish(axes: Axes, comparison: Comparison, middles: Sequence[float], label: str, end: float) -> None:
    """Set limits, labels and grid; `middles` are the lines of the organs' names."""
    axes.set_ylim(end, -0.7)  # inverted: the first organ is at the top
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


def _add_legend(figure: Figure, comparison: Comparison) -> None:
    handles = []
    for arm in comparison.arms:
        handles.append(_handle(_color(comparison, arm.letter), _truncated(arm.title)))
    if comparison.pairs:
        count = len(comparison.pairs)
        more = f" (first {MAX_PAIRS} of {count} pairs)" if count > MAX_PAIRS else ""
        handles.append(_handle(_NOT_SIGNIFICANT, f"no significant difference{more}"))
    legend = figure.legend(handles=handles, loc="outside upper left", ncols=1, frameon=False, fontsize=9)
    for text in legend.get_texts():
        text.set_parse_math(False)


def _handle(color: str, label: str) -> Line2D:
    return Line2D([], [], color=color, marker="D", linewidth=2.4, label=label)


def _truncated(text: str) -> str:
    if len(text) > 100:
        return f"{text[:99]}…"
    return text
