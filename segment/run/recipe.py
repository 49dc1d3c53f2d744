"""The recipe of a run: the part of its configuration that affects the result, apart from seed and split."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from segment.configuration.roles import is_free, role
from segment.configuration.values import flatten
from segment.errors import UserError
from segment.run.resume import recorded_facts


def recipe(config: Mapping[str, Any]) -> dict[str, Any]:
    """The seed, and every key that repeats of a training must share; values by dotted key."""
    return {key: value for key, value in flatten_with_lists(config).items() if key == "seed" or not is_free(key)}


def shared_config(configs: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """The keys and values that all folds of a cross-validation, or all repeats, share.

    Args:
        configs: Values by dotted key, by the name of the run; at least one run.

    Raises:
        UserError: When the runs differ in more than the split, the fold and the keys that repeats may change.
    """
    (first, one), *others = configs.items()
    differing: set[str] = set()
    for name, other in others:
        changed = {key for key in one.keys() | other.keys() if json.dumps(one.get(key)) != json.dumps(other.get(key))}
        in_recipe = [key for key in changed if role(key).recipe == "part"]
        if in_recipe:
            key = min(in_recipe, key=lambda key: (key.count("."), key))  # the outermost key explains the most
            msg = (
                f"{first} and {name} have different recipes, so they are not folds of one: {key} is {one.get(key)} in "
                f"the first and {other.get(key)} in the other; merge the folds of each recipe separately: 'runs=[a,b]'"
            )
            raise UserError(msg)
        differing |= changed
    return {key: value for key, value in one.items() if key not in differing and key.split(".")[-1] != "fold"}


def read_config(run: Path) -> dict[str, Any]:
    """The configuration of a run and the facts it recorded, by dotted key, e.g. `augment.transforms[1].p`.

    Empty if there is no config.yaml.

    Raises:
        UserError: When the file cannot be read.
    """
    path = run / "config.yaml"
    if not path.exists():
        return {}
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, yaml.YAMLError) as error:
        msg = f"cannot read {path}: {' '.join(str(error).split())}; name a whole run folder"
        raise UserError(msg) from error
    return flatten_with_lists(content) | flatten_with_lists(recorded_facts(run))


def flatten_with_lists(content: Any) -> dict[str, Any]:  # noqa: ANN401  # whatever a file holds
    """Flatten nested dictionaries, and lists of dictionaries, to one level of dotted keys.

    For example, `{"a": [{"p": 1}], "b": [1, 2]}` becomes `{"a[0].p": 1, "b": [1, 2]}`.
    """
    result: dict[str, Any] = {}
    for key, value in flatten(content).items():
        result.update(_unrolled(key, value))
    return result


def _unrolled(key: str, value: Any) -> Sequence[tuple[str, Any]]:  # noqa: ANN401
    """Pairs of dotted key and value for a list that holds dictionaries; one pair for any other value."""
    if not isinstance(value, list) or not any(isinstance(item, dict) for item in value):
        return [(key, value)]
    pairs: list[tuple[str, Any]] = []
    for index, item in enumerate(value):
        for name, inner in flatten(item, f"{key}[{index}]").items():
            pairs.extend(_unrolled(name, inner))
    return pairs
