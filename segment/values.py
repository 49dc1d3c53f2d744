"""Whether a configuration's values are of the kind that constructors take, known before anything is built."""

import types
import typing
from collections.abc import Mapping, Sequence
from typing import Any, Union

from hydra.utils import get_object

from segment.errors import UserError

# What a value must be for an annotation; annotations that hold anything else are not checked.
KINDS: dict[Any, tuple[str, tuple[type, ...]]] = {
    bool: ("true or false", (bool,)),
    int: ("a whole number", (int,)),
    float: ("a number", (int, float)),
    str: ("a word", (str, int, float)),
    type(None): ("null", (type(None),)),
    Sequence: ("a list", (list,)),
    list: ("a list", (list,)),
    Mapping: ("keys with values", (dict,)),
    dict: ("keys with values", (dict,)),
}


def check_values(node: Any, where: str = "") -> None:  # noqa: ANN401
    """Refuse values that the constructors named by `_target_` cannot take, such as a word for a batch size.

    Args:
        node: A resolved configuration: dictionaries, lists and plain values.
        where: What to call it in an error.

    Raises:
        UserError: With the key, the value and what is wanted.
    """
    if isinstance(node, list):
        for index, item in enumerate(node):
            check_values(item, f"{where}[{index}]")
    if not isinstance(node, dict):
        return
    hints = _hints(node["_target_"]) if "_target_" in node else {}
    for key, value in node.items():
        name = f"{where}.{key}" if where else str(key)
        check_values(value, name)
        wanted = _wanted(hints.get(str(key), Any))
        if wanted and not any(_fits(value, kind) for _, kind in wanted):
            msg = f"{name} must be {' or '.join(text for text, _ in wanted)}, got {value!r}"
            raise UserError(msg)


def check_seed(seed: Any) -> None:  # noqa: ANN401
    """Refuse a seed that the random generators cannot take.

    Raises:
        UserError: With the value.
    """
    if type(seed) is not int or not 0 <= seed < 2**32:
        msg = f"seed must be a whole number from 0 to {2**32 - 1}, got {seed!r}"
        raise UserError(msg)


def _hints(target: str) -> dict[str, Any]:
    """Annotations of a target's parameters; none where they cannot be known."""
    try:
        found = get_object(target)
        return typing.get_type_hints(found.__init__ if isinstance(found, type) else found)  # type: ignore[misc]
    except Exception:  # building it will tell what is wrong
        return {}


def _wanted(hint: Any) -> list[tuple[str, tuple[type, ...]]]:  # noqa: ANN401
    members = typing.get_args(hint) if typing.get_origin(hint) in (Union, types.UnionType) else (hint,)
    plain = [typing.get_origin(member) or member for member in members]
    return [KINDS[member] for member in plain] if all(member in KINDS for member in plain) else []


def _fits(value: Any, kind: tuple[type, ...]) -> bool:  # noqa: ANN401
    if isinstance(value, dict) and "_target_" in value:  # what it builds shows later
        return True
    return isinstance(value, kind) and (bool in kind or not isinstance(value, bool))
