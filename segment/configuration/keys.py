"""List the dotted keys of a configuration."""

import re
from collections.abc import Iterator
from typing import Any

from segment.configuration.signature import signature

REFERENCE = re.compile(r"\$\{([\w.]+)\}")  # a value that only refers to another key, for example ${organs}
HYDRA_KEYS = ("_target_", "_partial_", "_convert_", "_recursive_", "_args_")  # not parameters of a constructor


def written_keys(node: Any, prefix: str = "") -> Iterator[str]:  # noqa: ANN401
    """Yield the dotted keys of a configuration, except keys whose value is only a reference (`${...}`)."""
    if not isinstance(node, dict):
        return
    for key, value in node.items():
        if key not in HYDRA_KEYS and not REFERENCE.fullmatch(str(value)):
            name = f"{prefix}.{key}" if prefix else str(key)
            yield name
            yield from written_keys(value, name)


def possible_keys(node: Any, prefix: str = "") -> Iterator[str]:  # noqa: ANN401
    """Yield the dotted keys that can be added to a configuration: the unset parameters of its constructors."""
    if not isinstance(node, dict):
        return
    start = f"{prefix}." if prefix else ""
    takes = signature(str(node["_target_"])) if "_target_" in node else None
    if takes is not None:
        for name in takes.parameters:
            if name not in node:
                yield f"{start}{name}"
    for key, value in node.items():
        yield from possible_keys(value, f"{start}{key}")
