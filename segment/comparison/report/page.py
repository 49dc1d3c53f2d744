"""A comparison as one HTML page without external files."""

import base64
from collections.abc import Collection, Iterable, Sequence
from html import escape

from segment import __version__
from segment.comparison.arms import Arm
from segment.comparison.comparison import Comparison
from segment.comparison.report.tables import difference_cells, mean_cell, rows_of_scores, spread_cells
from segment.comparison.report.verdicts import Verdict, note_number, notes, numbered_notes, overview, verdicts
from segment.metrics.definitions import METRICS

_STYLE = """
:root { color-scheme: light; }
body { font: 16px/1.5 system-ui, "DejaVu Sans", sans-serif; color: #222; background: #fff; max-width: 75rem;
  margin: 2rem auto; padding: 0 1.5rem; }
h1 { font-size: 1.6rem; margin: 0 0 .3rem; }
h2 { font-size: 1.2rem; margin: 2.2rem 0 .6rem; border-bottom: 1px solid #ddd; padding-bottom: .2rem; }
h3 { font-size: 1rem; margin: 1.2rem 0 .2rem; }
ul { margin: .2rem 0 .6rem; padding-left: 1.3rem; }
ul.notes { list-style: none; padding-left: 0; }
img { max-width: 100%; height: auto; }
.scroll { overflow-x: auto; }
table { border-collapse: collapse; font-size: .9rem; margin: .6rem 0 1rem; }
th, td { padding: .25rem .7rem; border-bottom: 1px solid #e4e4e4; text-align: left; vertical-align: top; }
td.number, th.number { text-align: right; font-variant-numeric: tabular-nums; white-space: nowrap; }
thead th { border-bottom: 2px solid #999; }
td { white-space: nowrap; }
td:last-child { white-space: normal; }
tr.claimed td { background: #eef6ee; }
small, .faint { color: #666; }
code { font-size: .9em; overflow-wrap: anywhere; }
"""
_DIFFERENCES = (
    *("pair", "organ", "metric", "patients", "difference", "interval", "p", "p (Holm)", "detectable", "better", "note"),
)
_RIGHT_ALIGNED = {"patients", "difference", "interval", "p", "p (Holm)", "detectable"}


def comparison_page(comparison: Comparison, figure: bytes) -> str:
    """The page: verdicts, figure, tables, and the runs behind them.

    Args:
        comparison: The comparison to show; its names are escaped.
        figure: The PNG of `render_figure`.
    """
    picture = base64.b64encode(figure).decode()
    level = f"{100 * (1 - comparison.settings.alpha):g} %"
    parts = [
        "<h1>Comparison of runs</h1>",
        f"<p>{escape(overview(comparison))}</p>",
        "<h2>Arms</h2>",
        _arms(comparison.arms),
        "<h2>Verdict</h2>" if comparison.pairs else "",
        *(_verdict(verdict) for verdict in verdicts(comparison)),
        _list(numbered_notes(comparison), style="notes"),
        _list(comparison.remarks),
        "<h2>Figure</h2>",
        f'<img alt="Scores and paired differences of all arms" src="data:image/png;base64,{picture}">',
        "<p class=faint>Dots are patients, each the mean of an arm's seeds; lines join the dots of one patient. "
        f"Diamonds are means over patients with their {level} intervals, ticks the means of single seeds.</p>",
        f"<h2>Scores</h2><p class=faint>Mean and {level} interval; below, the standard deviation over patients and, "
        "with several seeds, of the seeds' means.</p>",
        _scores(comparison),
        _differences(comparison) if comparison.contrasts else "",
        "<h2>Runs</h2>",
        _runs(comparison.arms),
        f"<p><small>segment {escape(__version__)}; {len(comparison.cases)} test cases; {level} intervals; "
        f"{comparison.settings.resamples} bootstrap samples, seed {comparison.settings.seed}.</small></p>",
    ]
    head = f'<meta charset="utf-8"><title>Comparison of runs</title><style>{_STYLE}</style>'
    body = "\n".join(filter(None, parts))
    return f'<!DOCTYPE html>\n<html lang="en"><head>{head}</head>\n<body>\n{body}\n</body></html>\n'


def _arms(arms: Sequence[Arm]) -> str:
    """Table of the arms, and a collapsed table of all configuration keys in which they differ."""
    rows = []
    for arm in arms:
        seeds = ", ".join(str(run.seed) for run in arm.runs if run.config)
        parameters = "-" if arm.parameters is None else f"{arm.parameters:,}"
        hours = "-" if arm.hours is None else f"{arm.hours:.2g}"
        rows.append((arm.letter, arm.label, str(len(arm.runs)), seeds, parameters, hours))
    table = _table(("arm", "recipe", "runs", "seeds", "parameters", "hours per run"), rows)
    keys = list(dict.fromkeys(key for arm in arms for key in arm.differs))
    if not keys:
        return table
    values = []
    for key in keys:
        values.append((key, *(arm.differs[key] for arm in arms)))
    names = ["configuration", *(arm.letter for arm in arms)]
    return f"{table}<details><summary>All differences ({len(keys)})</summary>{_table(names, values)}</details>"


def _verdict(verdict: Verdict) -> str:
    return f"<h3>{escape(verdict.second)} against {escape(verdict.first)}</h3>{_list(verdict.sentences)}"


def _scores(comparison: Comparison) -> str:
    letters = [arm.letter for arm in comparison.arms]
    rows = []
    for metric in comparison.metrics:
        for organ in rows_of_scores(comparison):
            cells = []
            for letter in letters:
                summary = comparison.summaries[letter][organ, metric]
                cells.append(f"{mean_cell(metric, summary)}\n{' / '.join(spread_cells(metric, summary))}")
            rows.append((METRICS[metric].title, organ.replace("_", " "), *cells))
    return _table(("metric", "organ", *letters), rows, right_aligned=letters)


def _differences(comparison: Comparison) -> str:
    rows = []
    claims = set()
    all_notes = notes(comparison)
    for index, contrast in enumerate(comparison.contrasts):
        pair = f"{contrast.second} minus {contrast.first}"
        metric = METRICS[contrast.metric].title.split()[0]
        cells = difference_cells(contrast, units=True)
        rows.append(
            (pair, contrast.organ.replace("_", " "), metric, *cells, note_number(contrast, comparison, all_notes))
        )
        if contrast.better:
            claims.add(index)
    heading = (
        "<h2>Paired differences</h2><p class=faint>Between scores of the same patients, in points (hundredths) or mm. "
        "p: the p-value of Wilcoxon's test over patients. If an arm has several seeds, a second test also takes the "
        "variation between seeds into account, and the larger p-value is shown. p (Holm): corrected for all tests in "
        "this table. Detectable: the smallest true difference that this test set would reveal with a probability of "
        "80 %.</p>"
    )
    return heading + _table(_DIFFERENCES, rows, right_aligned=_RIGHT_ALIGNED, highlighted=claims)


def _runs(arms: Sequence[Arm]) -> str:
    rows = []
    for arm in arms:
        for run in arm.runs:
            seed = "-" if run.seed is None else str(run.seed)
            rows.append((arm.letter, run.name, seed, run.code or "-", str(len(run.seen) or "-")))
    return _table(("arm", "run", "seed", "code", "training and validation cases"), rows)


def _list(items: Sequence[str], style: str = "") -> str:
    if not items:
        return ""
    entries = "".join(f"<li>{escape(item)}</li>" for item in items)
    return f"<ul class={style}>{entries}</ul>" if style else f"<ul>{entries}</ul>"


def _table(
    names: Sequence[str],
    rows: Iterable[Sequence[str]],
    right_aligned: Collection[str] = (),
    highlighted: Collection[int] = (),
) -> str:
    """An HTML table.

    Args:
        names: Names of the columns.
        rows: Text of the cells, in which a line break becomes `<br>`.
        right_aligned: Names of columns.
        highlighted: Indices of rows.
    """
    attributes = [" class=number" if name in right_aligned else "" for name in names]
    head = "".join(f"<th{attribute}>{escape(name)}</th>" for attribute, name in zip(attributes, names, strict=True))
    body = []
    for index, row in enumerate(rows):
        cells = []
        for attribute, cell in zip(attributes, row, strict=True):
            text = escape(cell).replace("\n", "<br>")
            cells.append(f"<td{attribute}>{text}</td>")
        row_attribute = " class=claimed" if index in highlighted else ""
        body.append(f"<tr{row_attribute}>{''.join(cells)}</tr>")
    return f"<div class=scroll><table><thead><tr>{head}</tr></thead><tbody>{''.join(body)}</tbody></table></div>"
