"""Runs that differ in nothing but the seed, gathered into one arm each, with a name that tells what sets it apart."""

import json
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from statistics import fmean
from string import ascii_uppercase
from typing import Any

from segment.comparison.find import Group
from segment.comparison.finished_run import FinishedRun
from segment.errors import UserError
from segment.run.recipe import is_free

_CASES = "cases to learn from"
_SHOWN = 3
_ABSENT = "not set"
_MIXED = "several"  # of code: then it sets no arm apart


@dataclass(frozen=True)
class Arm:
    """Repeats of one recipe.

    Attributes:
        letter: A, B, C …
        label: What sets it apart from the other arms, in short.
        runs: At least one.
        differs: All that sets it apart, dotted keys and values as text.
    """

    letter: str
    label: str
    runs: tuple[FinishedRun, ...]
    differs: dict[str, str]

    @property
    def title(self) -> str:
        """Letter, label and number of seeds."""
        count = len(self.by_seed)
        return f"{self.letter}: {self.label} ({f'{count} seeds' if count > 1 else '1 seed'})"

    @property
    def parameters(self) -> int | None:
        """Of the network; None where no run knows."""
        return next((run.parameters for run in self.runs if run.parameters is not None), None)

    @property
    def hours(self) -> float | None:
        """Mean over the runs that know theirs; None where none does."""
        known = [run.hours for run in self.runs if run.hours is not None]
        return fmean(known) if known else None

    @property
    def by_seed(self) -> list[list[FinishedRun]]:
        """Runs of one seed together: they vary less than seeds do, so they are one repeat. Unknown seeds differ."""
        gathered: dict[object, list[FinishedRun]] = {}
        for number, run in enumerate(self.runs):
            gathered.setdefault(("unknown", number) if run.seed is None else run.seed, []).append(run)
        return list(gathered.values())


def gather(groups: Sequence[Group]) -> tuple[list[Arm], list[str]]:
    """Make arms, in the order in which they were named.

    The runs of a sweep folder, a pattern or a table keep to themselves: one arm when they differ only in the seed, else
    one for each configuration. Runs named one by one are one arm where configuration, training cases and code agree.

    Returns:
        The arms, and remarks on what a reader should know of how they were made.

    Raises:
        UserError: When there are fewer than two runs.
    """
    gathered: dict[tuple[Any, ...], list[FinishedRun]] = {}
    homes: dict[tuple[Any, ...], str] = {}
    remarks = [f"left out: {reason}" for group in groups for reason in group.left_out]
    for number, group in enumerate(groups):
        for run in group.runs:
            home = (number,) if group.is_apart else ("single", run.code)
            key = (*home, *_signature(run))
            gathered.setdefault(key, []).append(run)
            homes.setdefault(key, group.name)
    arms_of_runs = [_without_copies(runs, remarks) for runs in gathered.values()]
    if (count := sum(map(len, arms_of_runs))) < 2:
        msg = f"{count} run(s) to compare; name two or more: segment compare RUN RUN"
        raise UserError(msg)
    arms = _named(arms_of_runs, list(homes.values()))
    return arms, [*remarks, *_of_several_codes(arms), *_of_one_seed(arms)]


def _of_several_codes(arms: Sequence[Arm]) -> list[str]:
    """One remark for the arms whose runs were made by the same different codes."""
    found: dict[str, list[str]] = defaultdict(list)
    for arm in arms:
        if len({run.code for run in arm.runs}) > 1:
            found[_codes(arm.runs)].append(arm.letter)
    return [
        f"the runs of {', '.join(letters)} were made by different code: {codes}" for codes, letters in found.items()
    ]


def _of_one_seed(arms: Sequence[Arm]) -> list[str]:
    """One remark for all arms of which several runs have one seed."""
    found = [
        f"{len(runs)} runs of {arm.letter} have the seed {runs[0].seed}"
        for arm in arms
        for runs in arm.by_seed
        if len(runs) > 1
    ]
    return [f"{', '.join(found)}: they count as one, by their mean"] if found else []


def _signature(run: FinishedRun) -> tuple[Any, ...]:
    """What two runs of one recipe share: configuration, but for what is free, and the cases to learn from."""
    config = tuple(sorted((key, json.dumps(value)) for key, value in run.config.items() if not is_free(key)))
    own = run.name if not run.config else ""  # of a bare table nothing is known
    return own, config, run.seen


def _without_copies(runs: list[FinishedRun], remarks: list[str]) -> tuple[FinishedRun, ...]:
    """Without runs that have seed and scores of an earlier one: what is the same run twice is no repeat."""
    kept: dict[str, FinishedRun] = {}
    for run in runs:
        content = repr((run.seed, sorted((case, sorted(scores.items())) for case, scores in run.cases.items())))
        if content in kept:
            remarks.append(f"left out: {run.name} has seed and scores of {kept[content].name}, so it is no repeat")
        kept.setdefault(content, run)
    return tuple(kept.values())


def _named(arms_of_runs: Sequence[tuple[FinishedRun, ...]], homes: Sequence[str]) -> list[Arm]:
    facts = [_facts(runs) for runs in arms_of_runs]
    keys = sorted(
        {key for one in facts for key in one}, key=lambda key: (any(key not in f for f in facts), *_plain(key))
    )
    varying = [
        key for key in keys if len(values := {one.get(key, _ABSENT) for one in facts}) > 1 and _MIXED not in values
    ]
    # Of keys that vary alike, as those that repeat another, the plainest one tells all.
    telling = list({tuple(one.get(key, _ABSENT) for one in facts): key for key in reversed(varying)}.values())[::-1]
    labels = [", ".join(f"{key}={one.get(key, _ABSENT)}" for key in telling[:_SHOWN]) for one in facts]
    more = f" and {len(telling) - _SHOWN} more" if len(telling) > _SHOWN else ""
    arms = []
    for number, (runs, one, label, home) in enumerate(zip(arms_of_runs, facts, labels, homes, strict=True)):
        name = runs[0].name if len(runs) == 1 else home
        text = f"{label}{more}" if labels.count(label) == 1 and label else ", ".join(filter(None, (label, name)))
        arms.append(Arm(_letter(number), text, runs, {key: one.get(key, _ABSENT) for key in varying}))
    return arms


def _facts(runs: Sequence[FinishedRun]) -> dict[str, str]:
    """Dotted keys and their values as text; a class stands for the `_target_` that names it."""
    facts = {}
    for key, value in runs[0].config.items():
        if not is_free(key) and not key.endswith("sha256"):  # which tells a reader nothing
            parent, _, last = key.rpartition(".")
            is_target = last == "_target_" and parent
            facts[parent if is_target else key] = str(value).split(".")[-1] if is_target else _short(value)
    if runs[0].seen:
        facts[_CASES] = str(len(runs[0].seen))
    codes = {run.code for run in runs} - {""}
    if codes:
        facts["code"] = codes.pop() if len(codes) == 1 else _MIXED
    return facts


def _short(value: object) -> str:
    text = value if isinstance(value, str) else json.dumps(value)
    return text if len(text) <= 40 else f"{text[:39]}…"


def _plain(key: str) -> tuple[bool, int, int, str]:
    """Order in which what is short and read by people comes first."""
    return key == "code", key.count("["), key.count("."), key


def _letter(number: int) -> str:
    """A to Z, then AA, AB and so on."""
    rest, last = divmod(number, len(ascii_uppercase))
    return (_letter(rest - 1) if rest else "") + ascii_uppercase[last]


def _codes(runs: Iterable[FinishedRun]) -> str:
    return ", ".join(sorted({run.code or "unknown" for run in runs}))
