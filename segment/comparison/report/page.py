"""A comparison as one HTML page that needs nothing but itself."""

import base64
from collections.abc import Iterable, Sequence
from html import escape

from segment import __version__
from segment.comparison.arms import Arm
from segment.comparison.comparison import Comparison
from segment.comparison.report.numbers import TITLES
from segment.comparison.report.tables import difference_cells, mean_cell, rows_of_scores, spread_cells
from segment.comparison.report.words import mark, notes, numbered, overview, verdicts

_STYLE = """
:root { color-scheme: light; }
body { font: 16px/1.5 system-ui, "DejaVu Sans", sans-serif; color: #222; background: #fff; max-width: 75rem;
  margin: 2rem auto; padding: 0 1.5rem; }
h1 { font-size: 1.6rem; margin: 0 0 .3rem; }
h2 { font-size: 1.2rem; margin: 2.2rem 0 .6rem; border-bottom: 1px solid #ddd; padding-bottom: .2rem; }
h3 { font-size: 1rem; margin: 1.2rem 0 .2rem; }
ul { margin: .2rem 0 .6rem; padding-left: 1.3rem; }
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
_NUMBERS = {"patients", "difference", "interval", "p", "p (Holm)", "detectable"}


def comparison_page(comparison: Comparison, figure: bytes) -> str:
    """The page: verdicts, figure, tables, and where every number comes from.

    Args:
        comparison: What to tell; names in it are escaped.
        figure: The picture of `draw_comparison`.
    """
    picture = base64.b64encode(figure).decode()
    level = f"{100 * (1 - comparison.settings.alpha):g} %"
    parts = [
        "<h1>Comparison of runs</h1>",
        f"<p>{escape(overview(comparison))}</p>",
        "<h2>Arms</h2>",
        _arms(comparison.arms),
        "<h2>Verdict</h2>" if comparison.pairs else "",
        *(_verdict(v.first, v.second, v.sentences) for v in verdicts(comparison)),
        _list([*numbered(comparison), *comparison.remarks]),
        "<h2>Figure</h2>",
        f'<img alt="Scores and paired differences of all arms" src="data:image/png;base64,{picture}">',
        "<p class=faint>Dots are patients, each the mean of an arm's seeds; lines join the dots of one patient. "
        f"Diamonds are means over patients with their {level} intervals, ticks the means of single seeds.</p>",
        f"<h2>Scores</h2><p class=faint>Mean and {level} interval; below, the standard deviation over patients and, "
        "where there are repeats, of the seeds' means.</p>",
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
    keys = list(dict.fromkeys(key for arm in arms for key in arm.differs))
    rows = [
        (
            *(arm.letter, arm.label, str(len(arm.runs)), ", ".join(str(run.seed) for run in arm.runs if run.config)),
            "-" if arm.parameters is None else f"{arm.parameters:,}",
            "-" if arm.hours is None else f"{arm.hours:.2g}",
        )
        for arm in arms
    ]
    table = _table(("arm", "recipe", "runs", "seeds", "parameters", "hours a run"), rows)
    if not keys:
        return table
    values = [(key, *(arm.differs[key] for arm in arms)) for key in keys]
    names = ["configuration", *(arm.letter for arm in arms)]
    return f"{table}<details><summary>All that differs ({len(keys)})</summary>{_table(names, values)}</details>"


def _verdict(first: str, second: str, sentences: Sequence[str]) -> str:
    return f"<h3>{escape(second)} against {escape(first)}</h3>{_list(sentences)}"


def _scores(comparison: Comparison) -> str:
    names = ["metric", "organ", *(arm.letter for arm in comparison.arms)]
    rows = []
    for metric in comparison.metrics:
        for organ in rows_of_scores(comparison):
            found = [comparison.summaries[arm.letter][organ, metric] for arm in comparison.arms]
            cells = [f"{mean_cell(metric, one)}\n{' / '.join(spread_cells(metric, one))}" for one in found]
            rows.append((TITLES[metric], organ, *cells))
    return _table(names, rows, numbers=set(names[2:]))


def _differences(comparison: Comparison) -> str:
    rows = []
    known = notes(comparison)
    for one in comparison.contrasts:
        pair = f"{one.second} minus {one.first}"
        cells = difference_cells(one, units=True)
        rows.append((pair, one.organ, TITLES[one.metric].split()[0], *cells, mark(one, comparison, known)))
    claimed = {index for index, one in enumerate(comparison.contrasts) if one.better}
    told = (
        "<h2>Paired differences</h2><p class=faint>Of the same patients, in points (hundredths) or mm. p is the larger "
        "of Wilcoxon's over patients and, with repeats, that of patients and seeds; Holm corrects it for all rows. "
        "Detectable: the true difference that this test set would have shown with a chance of 80 %.</p>"
    )
    return told + _table(_DIFFERENCES, rows, numbers=_NUMBERS, marked=claimed)


def _runs(arms: Sequence[Arm]) -> str:
    rows = [
        (arm.letter, run.name, "-" if run.seed is None else str(run.seed), run.code or "-", str(len(run.seen) or "-"))
        for arm in arms
        for run in arm.runs
    ]
    return _table(("arm", "run", "seed", "code", "cases to learn from"), rows)


def _list(items: Sequence[str]) -> str:
    return f"<ul>{''.join(f'<li>{escape(item)}</li>' for item in items)}</ul>" if items else ""


def _table(
    names: Sequence[str],
    rows: Iterable[Sequence[str]],
    numbers: set[str] | None = None,
    marked: set[int] | None = None,
) -> str:
    kinds = [" class=number" if name in (numbers or ()) else "" for name in names]
    head = "".join(f"<th{kind}>{escape(name)}</th>" for kind, name in zip(kinds, names, strict=True))
    body = []
    for index, row in enumerate(rows):
        cells = [
            f"<td{kind}>{escape(cell).replace(chr(10), '<br>')}</td>" for kind, cell in zip(kinds, row, strict=True)
        ]
        mark = " class=claimed" if index in (marked or ()) else ""
        body.append(f"<tr{mark}>{''.join(cells)}</tr>")
    return f"<div class=scroll><table><thead><tr>{head}</tr></thead><tbody>{''.join(body)}</tbody></table></div>"
