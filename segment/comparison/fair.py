"""Whether a comparison of runs is fair: the same patients, the same truth, and nobody trained on them."""

import math
from collections.abc import Sequence
from itertools import combinations

from segment.comparison.finished_run import FinishedRun
from segment.errors import UserError


def check_fair(runs: Sequence[FinishedRun], metrics: Sequence[str]) -> tuple[list[str], list[str], list[str]]:
    """Refuse what would mislead.

    Returns:
        Organs that all runs score; metrics that mean the same in all; remarks for the reader.

    Raises:
        UserError: When test cases differ by name or content, a run was trained or selected on test cases, truths
            differ, or no organ is shared.
    """
    first = runs[0]
    for run in runs:
        _check_unseen(run, run)
    for other in runs[1:]:
        _check_cases(first, other)
    for one, other in combinations(runs, 2):
        _check_voxels(one, other)
        _check_unseen(one, other)
        _check_unseen(other, one)
    organs = [organ for organ in first.organs if all(organ in run.organs for run in runs)]
    if not organs:
        other = next(run for run in runs if not set(run.organs) & set(first.organs))
        msg = (
            f"{first.name} scores {', '.join(first.organs)}, {other.name} {', '.join(other.organs)}: "
            "no organ is shared; compare runs of the same organs"
        )
        raise UserError(msg)
    for other in runs[1:]:
        _check_truth(first, other, organs)
    kept, remarks = _same_tolerance(runs, organs, metrics)
    return organs, kept, [*_remarks(runs, organs), *remarks]


def _check_cases(first: FinishedRun, other: FinishedRun) -> None:
    only = [sorted(one.cases.keys() - two.cases.keys()) for one, two in ((first, other), (other, first))]
    if not any(only):
        return
    told = [f"only {run.name} tested {names[0]}" for run, names in zip((first, other), only, strict=True) if names]
    learnt = ""
    for one, two in ((first, other), (other, first)):
        if both := sorted(one.seen & two.cases.keys()):
            learnt = f", and {one.name} was trained or selected on {both[0]}, which {two.name} tested"
    msg = (
        f"the test cases differ: {' and '.join(told)}{learnt}; train all runs on the same split, e.g. split.seed=0, "
        "or merge the folds of each setting: segment merge"
    )
    raise UserError(msg)


def _check_voxels(first: FinishedRun, other: FinishedRun) -> None:
    for case in first.cases:
        hashes = first.voxels.get(case), other.voxels.get(case)
        if all(hashes) and hashes[0] != hashes[1]:
            msg = (
                f"{case} has other voxels in {first.name} than in {other.name}, so they tested other CTs by the same "
                "name; test both on the same data, by segment evaluate"
            )
            raise UserError(msg)


def _check_unseen(run: FinishedRun, other: FinishedRun) -> None:
    """Refuse when a run was trained on what the other, or it itself, tested: by content, whatever the name."""
    for part in run.parts:
        seen = {run.voxels[case]: case for case in part.seen if run.voxels.get(case)}
        for case in sorted(part.test):
            known = next((seen[v] for v in (other.voxels.get(case), run.voxels.get(case)) if v in seen), None)
            if known is None and case in part.seen:
                known = case
            if known is not None:
                under = f" under the name {known}" if known != case else ""
                msg = (
                    f"{run.name} was trained or selected on {case}{under}, which {other.name} tested; "
                    "compare runs that have not seen their test cases"
                )
                raise UserError(msg)


def _check_truth(first: FinishedRun, other: FinishedRun, organs: Sequence[str]) -> None:
    """The truth of a case lies on the CT's own grid, so its volume is the same in every run."""
    for case, scores in first.cases.items():
        for organ in organs:
            truths = scores[organ].volume_ml_true, other.cases[case][organ].volume_ml_true
            if not (math.isclose(*truths, rel_tol=1e-6) or all(map(math.isnan, truths))):
                msg = (
                    f"the true {organ} of {case} has {truths[0]:.1f} mL in {first.name} and {truths[1]:.1f} mL in "
                    f"{other.name}: labels or data changed; test both on the same data, by segment evaluate"
                )
                raise UserError(msg)


def _same_tolerance(
    runs: Sequence[FinishedRun], organs: Sequence[str], metrics: Sequence[str]
) -> tuple[list[str], list[str]]:
    """Metrics without nsd where it was taken at different tolerances; a remark where nobody knows.

    Raises:
        UserError: When no other metric is left.
    """
    if "nsd" not in metrics:
        return list(metrics), []
    unknown = []
    for organ in organs:
        tolerances = {run.name: run.config.get(f"tolerance_mm.{organ}") for run in runs}
        found = {value for value in tolerances.values() if value is not None}
        if len(found) > 1:
            why = f"tolerance_mm.{organ} is {', '.join(map(str, sorted(found)))} in different runs"
            kept = [metric for metric in metrics if metric != "nsd"]
            if not kept:
                msg = f"nsd cannot be compared: {why}; ask for other metrics, e.g. metrics=[dice,hd95_mm]"
                raise UserError(msg)
            return kept, [f"nsd is left out: {why}"]
        unknown += [name for name, value in tolerances.items() if value is None]
    if unknown:
        names = _names(list(dict.fromkeys(unknown)))
        return list(metrics), [f"{names} did not record tolerance_mm: nsd is comparable only if it is the same in all"]
    return list(metrics), []


def _remarks(runs: Sequence[FinishedRun], organs: Sequence[str]) -> list[str]:
    remarks = []
    if more := sorted({organ for run in runs for organ in run.organs} - set(organs)):
        remarks.append(f"left out: {', '.join(more)}, which not every run scores")
    if unknown := [run.name for run in runs if any(not run.voxels.get(case) for case in run.cases)]:
        remarks.append(
            f"{_names(unknown)} did not record the content of the CTs: its cases are known by their names alone"
        )
    if unseen := [run.name for run in runs if not run.seen]:
        remarks.append(f"what {_names(unseen)} was trained on is not recorded beside its scores")
    return remarks


def _names(runs: Sequence[str]) -> str:
    return runs[0] if len(runs) == 1 else f"{runs[0]} and {len(runs) - 1} more"
