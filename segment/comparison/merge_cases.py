"""Merges the tables of several runs, e.g. the folds of a cross-validation, into one."""

import math
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import astuple, fields
from pathlib import Path

from segment.comparison.tested_run import read_scores, tested_table
from segment.errors import UserError
from segment.files import write_text
from segment.metrics.cases_csv import COLUMNS, csv_text
from segment.metrics.scores import OrganScore, nan_mean
from segment.run.recipe import read_config, shared_config

NUMBERS = [field.name for field in fields(OrganScore)][1:]  # all but the organ


def find_tables(runs: Iterable[str | Path]) -> list[Path]:
    """The cases.csv of run folders, and of the runs in sweep folders, sorted.

    Raises:
        UserError: If a folder contains no run, a run was not tested to the end, there is only one table, or the runs
            have different recipes.
    """
    tables: set[Path] = set()
    for run in map(Path, runs):
        is_run = (run / "split.json").exists()
        folders = [run] if is_run else sorted(path.parent for path in run.glob("*/split.json"))
        if not folders:
            msg = f"no run in {run}; name run folders, or the folder of a sweep"
            raise UserError(msg)
        tables.update(tested_table(folder) for folder in folders)
    if len(tables) < 2:
        msg = f"{len(tables)} table to merge; name the folder of a sweep, or several run folders: 'runs=[a,b]'"
        raise UserError(msg)
    ordered = sorted(tables)
    shared_config({str(table.parent): read_config(table.parent) for table in ordered})
    return ordered


def merge_cases(tables: Sequence[Path]) -> dict[str, list[OrganScore]]:
    """Scores of every case, sorted by case.

    If several runs tested a case, e.g. one of a test set that all folds share, it gets the mean of their scores
    without NaN. There is no distance if one of them missed the organ: leaving that run out would reward it.

    Raises:
        UserError: If the runs have different organs, or scored a case with different ground truths.
    """
    scores_of: dict[str, dict[str, list[OrganScore]]] = defaultdict(lambda: defaultdict(list))
    organs: dict[Path, list[str]] = {}
    for path in tables:
        scores = read_scores(path)
        organs[path] = list(dict.fromkeys(score.organ for _, score in scores))
        for case, score in scores:
            scores_of[case][score.organ].append(score)
    first = organs[tables[0]]
    for path in tables:
        if organs[path] != first:
            others = ", ".join(organs[path]) or "nothing"
            msg = f"{tables[0]} scores {', '.join(first)}, but {path} scores {others}; merge runs of the same organs"
            raise UserError(msg)
    merged = {}
    for case, by_organ in sorted(scores_of.items()):
        merged[case] = [_mean(case, organ, scores) for organ, scores in by_organ.items()]
    return merged


def write_merged(path: Path, cases: Mapping[str, Sequence[OrganScore]]) -> None:
    """Write a cases.csv."""
    rows = []
    for case, scores in cases.items():
        for score in scores:
            rows.append((case, *astuple(score)))
    write_text(path, csv_text([COLUMNS, *rows]))


def _mean(case: str, organ: str, scores: Sequence[OrganScore]) -> OrganScore:
    first = scores[0].volume_ml_reference
    for other in (score.volume_ml_reference for score in scores):
        if not same_volume(first, other):
            msg = (
                f"the ground truth of {organ} in {case} has {first:.1f} mL in one run and {other:.1f} mL in another: "
                "labels or data changed; test the runs on the same data with segment evaluate"
            )
            raise UserError(msg)
    means = {}
    for name in NUMBERS:
        means[name] = nan_mean(getattr(score, name) for score in scores)
    if any(score.is_failure for score in scores):
        means["hd95_mm"] = math.nan
    return OrganScore(organ, **means)


def same_volume(one_ml: float, other_ml: float) -> bool:
    """Whether two volumes of a ground truth, on the same grid, are equal; NaN is equal to NaN."""
    return (math.isnan(one_ml) and math.isnan(other_ml)) or math.isclose(one_ml, other_ml, rel_tol=1e-6)
