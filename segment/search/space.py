"""The space of a search: the keys to change and the distributions of their values."""

import itertools
import json
import math
from collections.abc import Iterator, Mapping
from typing import Any

from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)

from segment.coercion import Mismatch, coerce
from segment.errors import UserError

Space = Mapping[str, BaseDistribution]
RANGE = {"low", "high", "log", "step"}


def read_space(node: Mapping[str, Any]) -> dict[str, BaseDistribution]:
    """Distributions of a space in the configuration, by the key that each overrides.

    A list holds choices. A range includes both `low` and `high`. Its values are integers if `low`, `high` and `step`
    are; with `log: true` they are sampled uniformly on a logarithmic scale. For example, `{"optimizer": {"lr": {"low":
    1e-4, "high": 1e-2, "log": true}}, "data.batch_size": [1, 2]}` has the keys `optimizer.lr` and `data.batch_size`.

    Args:
        node: Nested or dotted keys; each ends in a list, or in `low`, `high` and optionally `log` or `step`.

    Raises:
        UserError: When the space is empty, or with the first key that is invalid.
    """
    space = dict(_read(node, ""))
    if not space:
        msg = "space is empty; give what to search, e.g. +space.optimizer.lr.low=1e-4 +space.optimizer.lr.high=1e-2"
        raise UserError(msg)
    return space


def override(key: str, value: Any) -> str:  # noqa: ANN401
    """Format a value as an argument of `segment train`; text is not quoted."""
    return f"{key}={value if isinstance(value, str) else json.dumps(value)}"


def examples(space: Space) -> Iterator[dict[str, Any]]:
    """A few configurations that together contain every choice of every list, to find misspelt choices."""
    first = {key: _first(distribution) for key, distribution in space.items()}
    yield first
    for key, distribution in space.items():
        if isinstance(distribution, CategoricalDistribution):
            for choice in distribution.choices[1:]:
                yield first | {key: choice}


def count(space: Space) -> float:
    """Number of configurations; infinite if one of the ranges is continuous."""
    return math.prod(_count(distribution) for distribution in space.values())


def configurations(space: Space) -> Iterator[dict[str, Any]]:
    """All configurations of a finite space."""
    for chosen in itertools.product(*map(values, space.values())):
        yield dict(zip(space, chosen, strict=True))


def values(distribution: BaseDistribution) -> list[Any]:
    """All values of a finite distribution."""
    if isinstance(distribution, CategoricalDistribution):
        return list(distribution.choices)
    if isinstance(distribution, IntDistribution):
        return list(range(distribution.low, distribution.high + 1, distribution.step))
    assert isinstance(distribution, FloatDistribution)
    step = distribution.step or 0
    steps = range(int(_count(distribution)))
    return [min(distribution.low + index * step, distribution.high) for index in steps]  # rounding may exceed `high`


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
    # Optuna stores only plain values, so a list is stored as the text of its override.
    choices = [json.dumps(value) if isinstance(value, list) else value for value in values]
    if not choices or any(isinstance(choice, dict) for choice in choices):
        msg = f"space.{key} must be a list of words, numbers or lists of them, got {values!r}"
        raise UserError(msg)
    return CategoricalDistribution(choices)


def _range(key: str, node: Mapping[str, Any]) -> IntDistribution | FloatDistribution:
    unknown = sorted(node.keys() - RANGE)
    if unknown:
        msg = f"space.{key} has {unknown[0]}, which is none of low, high, log and step; remove it"
        raise UserError(msg)
    low, high, step = node.get("low"), node.get("high"), node.get("step")
    try:
        log = coerce(node.get("log", False), bool)
    except Mismatch as error:
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
    except ValueError as error:  # low above high, log from 0, or log with step
        msg = f"space.{key} is not a valid range: {error}; give other bounds"
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
