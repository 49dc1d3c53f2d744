"""Tables of a comparison, for files and for the terminal."""

import math
from collections.abc import Iterator, Sequence
from pathlib import Path

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table
from rich.text import Text

from segment.comparison.comparison import MEAN, Comparison
from segment.comparison.report.format import (
    format_cost,
    format_difference,
    format_interval,
    format_p,
    format_score,
)
from segment.comparison.report.verdicts import note_number, notes, numbered_notes, overview, verdicts
from segment.comparison.statistics.contrasts import Contrast, Summary
from segment.comparison.statistics.mean import nan_means
from segment.files import write_text
from segment.metrics.cases_csv import csv_text
from segment.metrics.definitions import METRICS

SUMMARY = ("arm", "recipe", "organ", "metric", "patients", "seeds", "mean", "low", "high", "sd_patients", "sd_seeds")
DIFFERENCES = (
    *("first", "second", "organ", "metric", "patients", "difference", "low", "high", "sd_patients", "se_seeds"),
    *("p_wilcoxon", "p_seeds", "p_holm", "detectable", "better", "note"),
)
PATIENTS = ("case", "organ", "metric", "arm", "score")
_MAX_PAIRS = 6  # on the terminal


def summary_rows(comparison: Comparison) -> list[tuple[object, ...]]:
    """Rows of `SUMMARY`: scores of each arm, in the metric's own unit."""
    rows: list[tuple[object, ...]] = []
    for arm in comparison.arms:
        for (organ, metric), summary in comparison.summaries[arm.letter].items():
            counts = (summary.patients, summary.seeds)
            numbers = (summary.mean, summary.low, summary.high, summary.sd, summary.seed_sd)
            rows.append((arm.letter, arm.label, organ, metric, *counts, *numbers))
    return rows


def difference_rows(comparison: Comparison) -> list[tuple[object, ...]]:
    """Rows of `DIFFERENCES`: second minus first, in the metric's own unit."""
    rows: list[tuple[object, ...]] = []
    all_notes = notes(comparison)
    for contrast in comparison.contrasts:
        difference = contrast.difference
        error_seeds = difference.error_seeds.value if difference.error_seeds else math.nan
        rows.append(
            (
                *(contrast.first, contrast.second, contrast.organ, contrast.metric, difference.patients),
                *(difference.mean, difference.low, difference.high, difference.sd, error_seeds),
                *(difference.p_patients, difference.p_seeds, contrast.p_holm, contrast.detectable, contrast.better),
                note_number(contrast, comparison, all_notes),
            )
        )
    return rows


def patient_rows(comparison: Comparison) -> Iterator[tuple[object, ...]]:
    """Rows of `PATIENTS`: the compared scores, each the mean over an arm's seeds."""
    for letter, by_key in comparison.scores.items():
        for (organ, metric), scores in by_key.items():
            for case, value in zip(comparison.patients, nan_means(scores.values, axis=0), strict=True):
                yield case, organ, metric, letter, float(value)


def write_tables(comparison: Comparison, folder: Path) -> None:
    """Write summary.csv, differences.csv and patients.csv; unknown numbers are NaN."""
    write_text(folder / "summary.csv", csv_text([SUMMARY, *summary_rows(comparison)]))
    write_text(folder / "differences.csv", csv_text([DIFFERENCES, *difference_rows(comparison)]))
    write_text(folder / "patients.csv", csv_text([PATIENTS, *patient_rows(comparison)]))


def print_comparison(comparison: Comparison, console: Console) -> None:
    """Print the arms, a table of means for each metric, tables of differences, and the verdicts."""
    for arm in comparison.arms:
        cost = format_cost(arm.parameters, arm.hours)
        line = f"{arm.title}; {cost}" if cost else arm.title
        console.print(line, markup=False, highlight=False, soft_wrap=True)
    for metric in comparison.metrics:
        console.print(Text(f"\n{METRICS[metric].title}", style="bold"), _means(comparison, metric))
    for pair in comparison.pairs[:_MAX_PAIRS]:
        console.print(Text(f"\n{pair[1]} minus {pair[0]}, of the same patients", style="bold"))
        console.print(_differences(comparison, pair))
    if len(comparison.pairs) > _MAX_PAIRS:
        console.print(f"… and {len(comparison.pairs) - _MAX_PAIRS} more pairs, in differences.csv")
    lines = [overview(comparison)]
    for verdict in verdicts(comparison):
        lines.append(f"{verdict.second} against {verdict.first}")
        lines += [f"  {sentence}" for sentence in verdict.sentences]
    lines += numbered_notes(comparison)
    lines += [f"note: {remark}" for remark in comparison.remarks]
    for line in lines:
        console.print(line, markup=False, highlight=False, soft_wrap=True)


def rows_of_scores(comparison: Comparison) -> list[str]:
    """Organs, and `MEAN` if there are several."""
    if len(comparison.organs) < 2:
        return list(comparison.organs)
    return [*comparison.organs, MEAN]


def mean_cell(metric: str, summary: Summary) -> str:
    """Mean and interval: `0.912 [0.890, 0.931]`."""
    return f"{format_score(metric, summary.mean)} {_interval_cell(metric, summary)}"


def spread_cells(metric: str, summary: Summary) -> tuple[str, str]:
    """Standard deviations over patients and over seeds, the latter with one more digit; a dash for NaN."""
    digits = METRICS[metric].digits
    over_patients, over_seeds = f"{summary.sd:.{digits}f}", f"{summary.seed_sd:.{digits + 1}f}"
    return over_patients.replace("nan", "-"), over_seeds.replace("nan", "-")


def difference_cells(contrast: Contrast, *, units: bool) -> Sequence[str]:
    """Patients, difference, interval, p, corrected p, smallest detectable difference, better arm."""
    metric, difference = contrast.metric, contrast.difference
    mean = format_difference(metric, difference.mean, signed=True)
    return (
        str(difference.patients),
        f"{mean} {METRICS[metric].unit}" if units else mean,
        format_interval(metric, difference.low, difference.high),
        format_p(difference.p),
        format_p(contrast.p_holm),
        format_difference(metric, contrast.detectable),
        contrast.better or "-",
    )


def _interval_cell(metric: str, summary: Summary) -> str:
    return f"[{format_score(metric, summary.low)}, {format_score(metric, summary.high)}]"


def _means(comparison: Comparison, metric: str) -> Table:
    table = _table(("", "arm", "mean", "interval", "SD patients", "SD seeds"))
    for organ in rows_of_scores(comparison):
        for arm in comparison.arms:
            summary = comparison.summaries[arm.letter][organ, metric]
            name = organ if arm is comparison.arms[0] else ""
            mean, interval = format_score(metric, summary.mean), _interval_cell(metric, summary)
            table.add_row(*map(Text, (name, arm.letter, mean, interval, *spread_cells(metric, summary))))
    return table


def _differences(comparison: Comparison, pair: tuple[str, str]) -> Table:
    table = _table(("", "n", "mean", "interval", "p", "Holm", "detectable", "better"))
    for metric in comparison.metrics:
        table.add_row(Text(f"{METRICS[metric].title.split()[0]}, {METRICS[metric].unit}", style="bold"))
        for contrast in comparison.contrasts_of(pair, metric):
            table.add_row(Text(contrast.organ), *map(Text, difference_cells(contrast, units=False)))
    return table


def _table(columns: Sequence[str]) -> Table:
    """Empty table without lines between columns, so that it fits into 80 characters."""
    table = Table(box=SIMPLE_HEAD, pad_edge=False, collapse_padding=True)
    for column in columns:
        table.add_column(column, justify="right" if column else "left", no_wrap=True)
    return table
