"""Groups runs that differ only in the seed into arms, and names each arm by what sets it apart."""

import json
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean
from string import ascii_uppercase
from typing import Any

from segment.comparison.find import Group
from segment.comparison.finished_run import FinishedRun
from segment.configuration.roles import is_free
from segment.errors import UserError

_CASES = "training and validation cases"
_MAX_KEYS = 3  # in a label
_MAX_VALUE = 40  # characters of a value in a label
_ABSENT = "not set"
_MIXED = "several"  # versions of the code within one arm: the code then cannot set arms apart


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
        UserError: If there are fewer than two runs.
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
    count = sum(len(runs) for runs in runs_of_arms)
    if count < 2:
        msg = f"{count} run(s) to compare; name two or more: segment compare RUN RUN"
        raise UserError(msg)
    arms = _named(runs_of_arms, list(arguments.values()))
    return arms, [*remarks, *_code_remarks(arms), *_seed_remarks(arms)]


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
    name = run.name if not run.config else ""  # a bare table has no configuration, so it is an arm by itself
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


def _named(runs_of_arms: Sequence[tuple[FinishedRun, ...]], arguments: Sequence[str]) -> list[Arm]:
    configs = [_readable_config(runs) for runs in runs_of_arms]
    varying = _varying_keys(configs)
    shown = _distinct_keys(configs, varying)
    labels = [", ".join(f"{key}={config.get(key, _ABSENT)}" for key in shown[:_MAX_KEYS]) for config in configs]
    more = f" and {len(shown) - _MAX_KEYS} more" if len(shown) > _MAX_KEYS else ""
    arms = []
    for number, (runs, config, label) in enumerate(zip(runs_of_arms, configs, labels, strict=True)):
        name = runs[0].name if len(runs) == 1 else arguments[number]
        if not label:
            text = name
        elif labels.count(label) == 1:
            text = f"{label}{more}"
        else:
            text = f"{label}, {name}"
        arms.append(Arm(_letter(number), text, runs, {key: config.get(key, _ABSENT) for key in varying}))
    return arms


def _readable_config(runs: Sequence[FinishedRun]) -> dict[str, str]:
    """Dotted keys and their values as text. A class stands for its `_target_`: `model.net=VNet`."""
    config = {}
    for key, value in runs[0].config.items():
        if is_free(key) or key.endswith("sha256"):  # a hash means nothing to the reader
            continue
        parent, _, last = key.rpartition(".")
        if last == "_target_" and parent:
            config[parent] = str(value).split(".")[-1]
        else:
            config[key] = _short_value(value)
    if runs[0].seen:
        config[_CASES] = str(len(runs[0].seen))
    versions = {run.code for run in runs} - {""}
    if versions:
        config["code"] = versions.pop() if len(versions) == 1 else _MIXED
    return config


def _varying_keys(configs: Sequence[Mapping[str, str]]) -> list[str]:
    """Keys with different values, those first that all arms set and that are short."""
    keys = {key for config in configs for key in config}

    def order(key: str) -> tuple[bool, bool, int, int, str]:
        is_absent = any(key not in config for config in configs)
        return is_absent, key == "code", key.count("["), key.count("."), key

    varying = []
    for key in sorted(keys, key=order):
        values = {config.get(key, _ABSENT) for config in configs}
        if len(values) > 1 and _MIXED not in values:
            varying.append(key)
    return varying


def _distinct_keys(configs: Sequence[Mapping[str, str]], varying: Sequence[str]) -> list[str]:
    """One key for each pattern of values over the arms, the first in `varying`; others add no information."""
    keys: dict[tuple[str, ...], str] = {}
    for key in reversed(varying):
        keys[tuple(config.get(key, _ABSENT) for config in configs)] = key
    return list(reversed(keys.values()))


def _short_value(value: object) -> str:
    text = value if isinstance(value, str) else json.dumps(value)
    if len(text) > _MAX_VALUE:
        return f"{text[: _MAX_VALUE - 1]}…"
    return text


def _letter(number: int) -> str:
    """A to Z, then AA, AB and so on."""
    rest, last = divmod(number, len(ascii_uppercase))
    if rest == 0:
        return ascii_uppercase[last]
    return _letter(rest - 1) + ascii_uppercase[last]
