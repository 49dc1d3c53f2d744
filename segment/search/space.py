"""What a search may change, and how."""

import itertools
import json
import math
import re
from collections.abc import Iterator, Mapping
from typing import Any

from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)

from segment.errors import UserError
from segment.kind import Misfit, fitted

Space = Mapping[str, BaseDistribution]
RANGE = {"low", "high", "log", "step"}


def read_space(node: Mapping[str, Any]) -> dict[str, BaseDistribution]:
    """Distributions of a space as configuration writes it, by the key that each overrides.

    A list holds choices. `low` and `high` are both included; the values between are whole numbers if these and `step`
    are, and drawn evenly on the logarithm with `log: true`.

    Args:
        node: Keys within keys, or dotted; at the end of each a list, or `low`, `high` and perhaps `log` or `step`.

    Raises:
        UserError: When there is nothing to search, or with the first key that cannot be understood.
    """
    space = dict(_read(node, ""))
    if not space:
        msg = "space is empty; give what to search, e.g. +space.optimizer.lr.low=1e-4 +space.optimizer.lr.high=1e-2"
        raise UserError(msg)
    return space


def override(key: str, value: Any) -> str:  # noqa: ANN401
    """A chosen value as an argument of `segment train`; words stand as they are."""
    return f"{key}={value if isinstance(value, str) else json.dumps(value)}"


def quoted(text: str) -> str:
    """A word that may hold any characters, as the value of an argument."""
    # Hydra reads a backslash as such unless a quote follows the run of backslashes that it is in.
    escaped = re.sub(r"(\\*)('|$)", lambda found: 2 * found[1] + ("\\'" if found[2] else ""), text)
    return f"'{escaped}'"


def some(space: Space) -> Iterator[dict[str, Any]]:
    """A few configurations, among them every choice of every list: what is misspelt shows in one of them."""
    first = {key: _first(distribution) for key, distribution in space.items()}
    yield first
    for key, distribution in space.items():
        if isinstance(distribution, CategoricalDistribution):
            yield from (first | {key: choice} for choice in distribution.choices[1:])


def count(space: Space) -> float:
    """Number of configurations; infinite where a number may be any between two others."""
    return math.prod(_count(distribution) for distribution in space.values())


def configurations(space: Space) -> Iterator[dict[str, Any]]:
    """Every configuration of a space that has a finite number of them."""
    for chosen in itertools.product(*map(values, space.values())):
        yield dict(zip(space, chosen, strict=True))


def values(distribution: BaseDistribution) -> list[Any]:
    """All values of a distribution that has a finite number of them."""
    if isinstance(distribution, CategoricalDistribution):
        return list(distribution.choices)
    if isinstance(distribution, IntDistribution):
        return list(range(distribution.low, distribution.high + 1, distribution.step))
    assert isinstance(distribution, FloatDistribution)
    step = distribution.step or 0
    # Rounding must not lead beyond the end.
    return [min(distribution.low + index * step, distribution.high) for index in range(int(_count(distribution)))]


def _first(distribution: BaseDistribution) -> Any:  # noqa: ANN401
    if isinstance(distribution, CategoricalDistribution):
        return distribution.choices[0]
    assert isinstance(distribution, FloatDistribution | IntDistribution)
    return distribution.low


def _read(node: Mapping[str, Any], prefix: str) -> Iterator[tuple[str, BaseDistribution]]:
    for name, value in node.items():
        key = f"{prefix}.{name}" if prefix else str(name)
        if isinstance(value, list):
            yield key, _choices(key, value)
        elif not isinstance(value, dict):
            msg = f"space.{key} must be a list of choices, or low and high, got {value!r}"
            raise UserError(msg)
        elif RANGE.isdisjoint(value):
            yield from _read(value, key)
        else:
            yield key, _range(key, value)


def _choices(key: str, values: list[Any]) -> CategoricalDistribution:
    # Optuna keeps plain values only; a list is kept as the text that overrides.
    choices = [json.dumps(value) if isinstance(value, list) else value for value in values]
    if not choices or any(isinstance(choice, dict) for choice in choices):
        msg = f"space.{key} must be a list of words, numbers or lists of them, got {values!r}"
        raise UserError(msg)
    return CategoricalDistribution(choices)


def _range(key: str, node: Mapping[str, Any]) -> IntDistribution | FloatDistribution:
    if unknown := sorted(node.keys() - RANGE):
        msg = f"space.{key} has {unknown[0]}, which is none of low, high, log and step; take it out"
        raise UserError(msg)
    low, high, step = (node.get(name) for name in ("low", "high", "step"))
    try:
        log = fitted(node.get("log", False), bool)
    except Misfit as error:
        msg = f"space.{key}.log must be true or false, got {node['log']}"
        raise UserError(msg) from error
    numbers = [number for number in (low, high, step) if number is not None]
    if low is None or high is None or not all(type(number) in (int, float) for number in numbers):
        msg = f"space.{key} needs numbers for low and high, got {dict(node)}; give both"
        raise UserError(msg)
    if step and abs((high - low) / step - round((high - low) / step)) > 1e-6:
        msg = f"space.{key} cannot go from low={low} to high={high} in steps of {step}; choose another high"
        raise UserError(msg)
    try:
        if all(type(number) is int for number in numbers):
            return IntDistribution(low, high, log=log, step=1 if step is None else step)
        return FloatDistribution(low, high, log=log, step=step)
    except ValueError as error:  # in Optuna's words: low above high, log from 0, log with step
        msg = f"space.{key} is no range: {error}; give other bounds"
        raise UserError(msg) from error


def _count(distribution: BaseDistribution) -> float:
    if isinstance(distribution, CategoricalDistribution):
        return len(distribution.choices)
    if isinstance(distribution, IntDistribution):
        return (distribution.high - distribution.low) // distribution.step + 1
    assert isinstance(distribution, FloatDistribution)
    if distribution.single():
        return 1
    if distribution.step is None:
        return math.inf
    return round((distribution.high - distribution.low) / distribution.step) + 1
