"""A comparison as tables: rows for files, and on the terminal."""

from collections.abc import Iterator, Sequence
from pathlib import Path

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table
from rich.text import Text

from segment.comparison.comparison import MEAN, Comparison
from segment.comparison.report.numbers import TITLES, chance, cost, gap, level, span, unit
from segment.comparison.report.words import mark, notes, numbered, overview, verdicts
from segment.comparison.statistics.average import nan_means
from segment.comparison.statistics.contrasts import Contrast, Summary
from segment.files import write_text
from segment.metrics.cases_csv import csv_text

SUMMARY = ("arm", "recipe", "organ", "metric", "patients", "seeds", "mean", "low", "high", "sd_patients", "sd_seeds")
DIFFERENCES = (
    *("first", "second", "organ", "metric", "patients", "difference", "low", "high", "sd_patients", "se_seeds"),
    *("p_wilcoxon", "p_seeds", "p_holm", "detectable", "better", "note"),
)
PATIENTS = ("case", "organ", "metric", "arm", "score")
_SHOWN = 6  # pairs


def summary_rows(comparison: Comparison) -> list[tuple[object, ...]]:
    """Rows of `SUMMARY`: what each arm reaches, in the metric's own unit."""
    return [
        (
            *(arm.letter, arm.label, organ, metric, one.patients, one.seeds),
            *(one.mean, one.low, one.high, one.sd, one.seed_sd),
        )
        for arm in comparison.arms
        for (organ, metric), one in comparison.summaries[arm.letter].items()
    ]


def difference_rows(comparison: Comparison) -> list[tuple[object, ...]]:
    """Rows of `DIFFERENCES`: second minus first, in the metric's own unit."""
    rows: list[tuple[object, ...]] = []
    known = notes(comparison)
    for one in comparison.contrasts:
        found = one.difference
        seeds = found.seeds.value if found.seeds else float("nan")
        rows.append(
            (
                *(one.first, one.second, one.organ, one.metric, found.patients, found.mean, found.low, found.high),
                *(found.sd, seeds, found.p_patients, found.p_seeds, one.p_holm, one.detectable, one.better),
                mark(one, comparison, known),
            )
        )
    return rows


def patient_rows(comparison: Comparison) -> Iterator[tuple[object, ...]]:
    """Rows of `PATIENTS`: what was compared, each score the mean of an arm's seeds."""
    for letter, by_key in comparison.scores.items():
        for (organ, metric), scores in by_key.items():
            for case, value in zip(comparison.patients, nan_means(scores.values, axis=0), strict=True):
                yield case, organ, metric, letter, float(value)


def write_tables(comparison: Comparison, folder: Path) -> None:
    """Write summary.csv, differences.csv and patients.csv; NaN is what cannot be known."""
    write_text(folder / "summary.csv", csv_text([SUMMARY, *summary_rows(comparison)]))
    write_text(folder / "differences.csv", csv_text([DIFFERENCES, *difference_rows(comparison)]))
    write_text(folder / "patients.csv", csv_text([PATIENTS, *patient_rows(comparison)]))


def print_comparison(comparison: Comparison, console: Console) -> None:
    """Print the legend, a table of means for each metric, the differences, and the verdict."""
    for arm in comparison.arms:
        line = "; ".join(filter(None, (arm.title, cost(arm.parameters, arm.hours))))
        console.print(line, markup=False, highlight=False, soft_wrap=True)
    for metric in comparison.metrics:
        console.print(Text(f"\n{TITLES[metric]}", style="bold"), _means(comparison, metric))
    for pair in comparison.pairs[:_SHOWN]:
        console.print(Text(f"\n{pair[1]} minus {pair[0]}, of the same patients", style="bold"))
        console.print(_differences(comparison, pair))
    if len(comparison.pairs) > _SHOWN:
        console.print(f"… and {len(comparison.pairs) - _SHOWN} pairs more, in differences.csv")
    lines = [overview(comparison)]
    for verdict in verdicts(comparison):
        lines += [f"{verdict.second} against {verdict.first}", *(f"  {sentence}" for sentence in verdict.sentences)]
    for line in [*lines, *numbered(comparison), *(f"note: {remark}" for remark in comparison.remarks)]:
        console.print(line, markup=False, highlight=False, soft_wrap=True)


def rows_of_scores(comparison: Comparison) -> list[str]:
    """Organs, and the mean over them when there are several."""
    return [*comparison.organs, *([MEAN] if len(comparison.organs) > 1 else [])]


def mean_cell(metric: str, one: Summary) -> str:
    """Mean and interval."""
    return f"{level(metric, one.mean)} [{level(metric, one.low)}, {level(metric, one.high)}]"


def spread_cells(metric: str, one: Summary) -> tuple[str, str]:
    """Standard deviations over patients and, where known, over seeds, which is the smaller one."""
    digits = 1 if metric == "hd95_mm" else 3
    over_patients, over_seeds = f"{one.sd:.{digits}f}", f"{one.seed_sd:.{digits + 1}f}"
    return over_patients.replace("nan", "-"), over_seeds.replace("nan", "-")


def difference_cells(one: Contrast, *, units: bool) -> Sequence[str]:
    """Patients, difference, interval, p, corrected p, smallest detectable difference, better arm."""
    found = one.difference
    return (
        str(found.patients),
        f"{gap(one.metric, found.mean, signed=True)}{f' {unit(one.metric)}' if units else ''}",
        span(one.metric, found.low, found.high),
        chance(found.p),
        chance(one.p_holm),
        gap(one.metric, one.detectable),
        one.better or "-",
    )


def _means(comparison: Comparison, metric: str) -> Table:
    table = _table(("", "arm", "mean", "interval", "SD patients", "SD seeds"))
    for organ in rows_of_scores(comparison):
        for arm in comparison.arms:
            one = comparison.summaries[arm.letter][organ, metric]
            mean, interval = mean_cell(metric, one).split(maxsplit=1)
            name = organ if arm is comparison.arms[0] else ""
            table.add_row(*map(Text, (name, arm.letter, mean, interval, *spread_cells(metric, one))))
    return table


def _differences(comparison: Comparison, pair: tuple[str, str]) -> Table:
    table = _table(("", "n", "mean", "interval", "p", "Holm", "detectable", "better"))
    for metric in comparison.metrics:
        table.add_row(Text(f"{TITLES[metric].split()[0]}, {unit(metric)}", style="bold"))
        for one in comparison.of_pair(pair, metric):
            table.add_row(Text(one.organ), *map(Text, difference_cells(one, units=False)))
    return table


def _table(columns: Sequence[str]) -> Table:
    """Without lines between columns, which would leave too little of 80 characters."""
    table = Table(box=SIMPLE_HEAD, pad_edge=False, collapse_padding=True)
    for column in columns:
        table.add_column(column, justify="right" if column else "left", no_wrap=True)
    return table
