"""Groups runs that differ only in the seed into arms."""

import json
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean
from string import ascii_uppercase
from typing import Any

from segment.comparison.arm_labels import label_arms
from segment.comparison.find_runs import Group
from segment.comparison.finished_run import FinishedRun
from segment.configuration.roles import is_free
from segment.errors import UserError


@dataclass(frozen=True)
class Arm:
    """Runs of one recipe.

    Attributes:
        letter: A, B, C …
        label: Short text on what sets it apart from the other arms, e.g. "model.net.base_channels=16".
        runs: At least one.
        differs: Everything that sets it apart: dotted keys and their values as text.
    """

    letter: str
    label: str
    runs: tuple[FinishedRun, ...]
    differs: dict[str, str]

    @property
    def title(self) -> str:
        """Letter, label and number of seeds, e.g. "A: model.net.base_channels=16 (3 seeds)"."""
        count = len(self.by_seed)
        seeds = f"{count} seeds" if count > 1 else "1 seed"
        return f"{self.letter}: {self.label} ({seeds})"

    @property
    def parameters(self) -> int | None:
        """Number of parameters of the network; None if no run recorded it."""
        return next((run.parameters for run in self.runs if run.parameters is not None), None)

    @property
    def hours(self) -> float | None:
        """Mean hours of the runs that recorded theirs; None if no run did."""
        known = [run.hours for run in self.runs if run.hours is not None]
        if not known:
            return None
        return fmean(known)

    @property
    def by_seed(self) -> list[list[FinishedRun]]:
        """Runs grouped by seed.

        Runs with the same seed vary less than seeds do, so they count as one repeat. Each run with an unknown seed is a
        group by itself.
        """
        groups: dict[object, list[FinishedRun]] = {}
        for number, run in enumerate(self.runs):
            key = ("unknown", number) if run.seed is None else run.seed
            groups.setdefault(key, []).append(run)
        return list(groups.values())


def gather(groups: Sequence[Group]) -> tuple[list[Arm], list[str]]:
    """Group runs into arms, in the order in which the user named them.

    The runs of a sweep folder, a pattern or a table never share an arm with other runs. They are one arm if they differ
    only in the seed, else one arm for each configuration. Runs that are named one by one share an arm if their
    configuration, training cases and code agree.

    Returns:
        The arms, and remarks on how they were formed.

    Raises:
        UserError: If there are fewer than two runs, or an arm would mix checkpoints of one training.
    """
    runs_by_key: dict[tuple[Any, ...], list[FinishedRun]] = {}
    arguments: dict[tuple[Any, ...], str] = {}
    remarks = [f"left out: {reason}" for group in groups for reason in group.left_out]
    for number, group in enumerate(groups):
        for run in group.runs:
            origin = (number,) if group.is_separate else ("single", run.code)
            key = (*origin, *_recipe(run))
            runs_by_key.setdefault(key, []).append(run)
            arguments.setdefault(key, group.name)
    runs_of_arms = [_without_copies(runs, remarks) for runs in runs_by_key.values()]
    for runs in runs_of_arms:
        _check_checkpoints(runs)
    count = sum(len(runs) for runs in runs_of_arms)
    if count < 2:
        msg = f"{count} run(s) to compare; name two or more: segment compare RUN RUN"
        raise UserError(msg)
    arms = []
    labels = label_arms(runs_of_arms, list(arguments.values()))
    for number, (runs, (label, differs)) in enumerate(zip(runs_of_arms, labels, strict=True)):
        arms.append(Arm(_letter(number), label, runs, differs))
    return arms, [*remarks, *_code_remarks(arms), *_seed_remarks(arms)]


def _check_checkpoints(runs: Sequence[FinishedRun]) -> None:
    """Refuse evaluations of several checkpoints of one seed in an arm, such as its best and its last one."""
    by_seed: dict[object, FinishedRun] = {}
    for run in runs:
        other = by_seed.setdefault(run.seed, run)
        if run.seed is not None and run.checkpoint != other.checkpoint:
            msg = (
                f"{other.name} and {run.name} scored different checkpoints of one recipe and seed {run.seed}, which "
                f"would count as repeats; to compare them, name each by a pattern, e.g. '{_only(other)}' '{_only(run)}'"
            )
            raise UserError(msg)


def _only(run: FinishedRun) -> str:
    """A pattern that no other folder matches: `evals/[1]` for `evals/1`."""
    return f"{run.name[:-1]}[{run.name[-1]}]"


def _code_remarks(arms: Sequence[Arm]) -> list[str]:
    """One remark for each set of code versions that is mixed in an arm."""
    letters: dict[str, list[str]] = defaultdict(list)
    for arm in arms:
        versions = {run.code for run in arm.runs}
        if len(versions) > 1:
            text = ", ".join(sorted(code or "unknown" for code in versions))
            letters[text].append(arm.letter)
    return [f"the runs of {', '.join(names)} used different code: {text}" for text, names in letters.items()]


def _seed_remarks(arms: Sequence[Arm]) -> list[str]:
    """One remark for all arms in which several runs have the same seed."""
    shared = []
    for arm in arms:
        for runs in arm.by_seed:
            if len(runs) > 1:
                shared.append(f"{len(runs)} runs of {arm.letter} have the seed {runs[0].seed}")
    if not shared:
        return []
    return [f"{', '.join(shared)}: they count as one repeat, with their mean scores"]


def _recipe(run: FinishedRun) -> tuple[Any, ...]:
    """What repeats share: the configuration without keys such as the seed, and the training and validation cases."""
    config = tuple(sorted((key, json.dumps(value)) for key, value in run.config.items() if not is_free(key)))
    name = run.name if not run.config else ""  # a table of scores alone has no configuration, so it is an arm by itself
    return name, config, run.seen


def _without_copies(runs: list[FinishedRun], remarks: list[str]) -> tuple[FinishedRun, ...]:
    """Drop runs with the seed and scores of an earlier run; a copy is not a repeat."""
    kept: dict[str, FinishedRun] = {}
    for run in runs:
        content = repr((run.seed, sorted((case, sorted(scores.items())) for case, scores in run.cases.items())))
        if content in kept:
            remarks.append(f"left out: {run.name} has the seed and scores of {kept[content].name}, so it is a copy")
        else:
            kept[content] = run
    return tuple(kept.values())


def _letter(number: int) -> str:
    """A to Z, then AA, AB and so on."""
    rest, last = divmod(number, len(ascii_uppercase))
    if rest == 0:
        return ascii_uppercase[last]
    return _letter(rest - 1) + ascii_uppercase[last]
