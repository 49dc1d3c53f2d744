"""Checks that a comparison is fair: same test cases, same ground truth, and no run trained on a test case."""

from collections.abc import Sequence
from itertools import combinations

from segment.comparison.finished_run import FinishedRun
from segment.comparison.merge_cases import same_volume
from segment.errors import UserError


def check_fair(runs: Sequence[FinishedRun], metrics: Sequence[str]) -> tuple[list[str], list[str], list[str]]:
    """Refuse a comparison that would mislead.

    Returns:
        Organs that all runs score; metrics that all runs define in the same way; remarks for the reader.

    Raises:
        UserError: If test cases differ by name or content, a run was trained or selected on a test case, ground truths
            differ, or the runs share no organ.
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
            f"{first.name} scores {', '.join(first.organs)} and {other.name} scores {', '.join(other.organs)}: they "
            "share no organ; compare runs of the same organs"
        )
        raise UserError(msg)
    for other in runs[1:]:
        _check_ground_truth(first, other, organs)
    kept, remarks = _comparable_metrics(runs, organs, metrics)
    return organs, kept, [*_remarks(runs, organs), *remarks]


def _check_cases(first: FinishedRun, other: FinishedRun) -> None:
    """Refuse runs that tested different cases."""
    differences = []
    leak = ""
    for one, two in ((first, other), (other, first)):
        only = one.cases.keys() - two.cases.keys()
        if only:
            differences.append(f"only {one.name} tested {min(only)}")
        leaked = one.seen & two.cases.keys()
        if leaked:
            leak = f", and {one.name} was trained or selected on {min(leaked)}, which {two.name} tested"
    if not differences:
        return
    msg = (
        f"the test cases differ: {' and '.join(differences)}{leak}; train all runs on the same split, e.g. "
        "split.seed=0, or merge the folds of each setting: segment merge"
    )
    raise UserError(msg)


def _check_voxels(first: FinishedRun, other: FinishedRun) -> None:
    """Refuse runs in which the same case id stands for different CTs."""
    for case in first.cases:
        hashes = first.voxels.get(case), other.voxels.get(case)
        if all(hashes) and hashes[0] != hashes[1]:
            msg = (
                f"{case} has different voxels in {first.name} and {other.name}: two CTs have the same name; test both "
                "runs on the same data with segment evaluate"
            )
            raise UserError(msg)


def _check_unseen(run: FinishedRun, other: FinishedRun) -> None:
    """Refuse a run that was trained or selected on a test case of `other`, which may be the same run.

    If the runs recorded hashes of the CTs, a case is also recognised under another name.
    """
    for part in run.parts:
        seen_by_hash = {run.voxels[case]: case for case in part.seen if run.voxels.get(case)}
        for case in sorted(part.test):
            seen = case if case in part.seen else None
            for content in (run.voxels.get(case), other.voxels.get(case)):
                seen = seen_by_hash.get(content or "", seen)
            if seen is None:
                continue
            name = f" under the name {seen}" if seen != case else ""
            msg = (
                f"{run.name} was trained or selected on {case}{name}, which {other.name} tested; "
                "compare runs that have not seen their test cases"
            )
            raise UserError(msg)


def _check_ground_truth(first: FinishedRun, other: FinishedRun, organs: Sequence[str]) -> None:
    """Refuse runs that were scored on different labels.

    The ground truth of a case has the CT's own grid, so its volume must be the same in every run.
    """
    for case, scores in first.cases.items():
        for organ in organs:
            volumes_ml = scores[organ].volume_ml_reference, other.cases[case][organ].volume_ml_reference
            if same_volume(*volumes_ml):
                continue
            msg = (
                f"the ground truth of {organ} in {case} has {volumes_ml[0]:.1f} mL in {first.name} and "
                f"{volumes_ml[1]:.1f} mL in {other.name}: labels or data changed; test both runs on the same data with "
                "segment evaluate"
            )
            raise UserError(msg)


def _comparable_metrics(
    runs: Sequence[FinishedRun], organs: Sequence[str], metrics: Sequence[str]
) -> tuple[list[str], list[str]]:
    """Metrics without nsd if runs used different tolerances, and remarks on unequal or unknown tolerances.

    Raises:
        UserError: If no metric is left.
    """
    if "nsd" not in metrics:
        return list(metrics), []
    unknown: list[str] = []
    for organ in organs:
        tolerances = {run.name: run.config.get(f"tolerance_mm.{organ}") for run in runs}
        known = {value for value in tolerances.values() if value is not None}
        if len(known) > 1:
            reason = f"tolerance_mm.{organ} is {', '.join(map(str, sorted(known)))} in different runs"
            others = [metric for metric in metrics if metric != "nsd"]
            if not others:
                msg = f"nsd cannot be compared: {reason}; ask for other metrics, e.g. metrics=[dice,hd95_mm]"
                raise UserError(msg)
            return others, [f"nsd is left out: {reason}"]
        unknown += [name for name, value in tolerances.items() if value is None]
    if not unknown:
        return list(metrics), []
    names = _names(list(dict.fromkeys(unknown)))
    return list(metrics), [f"{names} did not record tolerance_mm: nsd is comparable only if it is the same in all runs"]


def _remarks(runs: Sequence[FinishedRun], organs: Sequence[str]) -> list[str]:
    remarks = []
    not_shared = sorted({organ for run in runs for organ in run.organs} - set(organs))
    if not_shared:
        remarks.append(f"left out: {', '.join(not_shared)}, which not every run scores")
    without_hashes = [run.name for run in runs if any(not run.voxels.get(case) for case in run.cases)]
    if without_hashes:
        remarks.append(
            f"{_names(without_hashes)} did not record the content of the CTs: cases are matched by name only"
        )
    without_training = [run.name for run in runs if not run.seen]
    if without_training:
        remarks.append(f"the training cases of {_names(without_training)} are not recorded beside the scores")
    return remarks


def _names(runs: Sequence[str]) -> str:
    if len(runs) == 1:
        return runs[0]
    return f"{runs[0]} and {len(runs) - 1} more"
