"""The dotted keys of a configuration."""

import re
from collections.abc import Iterator
from typing import Any

from segment.configuration.signature import signature

REFERENCE = re.compile(r"\$\{([\w.]+)\}")  # a value that only repeats another one
HYDRAS_OWN = ("_target_", "_partial_", "_convert_", "_recursive_", "_args_")  # beside a constructor's parameters


def written_keys(node: Any, prefix: str = "") -> Iterator[str]:  # noqa: ANN401
    """Dotted keys of a configuration, but for those that only repeat another one (`${...}`)."""
    for key, value in node.items() if isinstance(node, dict) else ():
        if key not in HYDRAS_OWN and not REFERENCE.fullmatch(str(value)):
            name = f"{prefix}.{key}" if prefix else str(key)
            yield name
            yield from written_keys(value, name)


def possible_keys(node: Any, prefix: str = "") -> Iterator[str]:  # noqa: ANN401
    """Dotted keys that a configuration does not hold, but the constructors that it names take."""
    if not isinstance(node, dict):
        return
    takes = signature(str(node["_target_"])) if "_target_" in node else None
    start = f"{prefix}." if prefix else ""
    yield from (f"{start}{key}" for key in (takes.parameters if takes else ()) if key not in node)
    for key, value in node.items():
        yield from possible_keys(value, f"{start}{key}")
