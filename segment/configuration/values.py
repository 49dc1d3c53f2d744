"""The folder of the configuration, and the composed configuration as plain values to compare, record and log."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf

from segment.privacy import without_paths


def config_dir() -> str:
    """Return the folder of the configuration: beside the package in a checkout, inside it in a wheel."""
    package = Path(__file__).resolve().parents[1]
    inside = package / "conf"
    return str(inside if inside.is_dir() else package.parent / "conf")


def with_values(cfg: DictConfig, **values: Any) -> DictConfig:  # noqa: ANN401
    """Return a copy of a configuration, which may be read-only, with other values for some of its keys."""
    result = OmegaConf.merge(cfg, values)
    assert isinstance(result, DictConfig)
    return result


def portable(cfg: DictConfig) -> dict[str, Any]:
    """Return the resolved configuration in a form that is equal for equal runs on any machine.

    The run folder becomes `.`, and an absolute path becomes its last part. Equal runs may still differ in
    keys that describe the call (`segment.configuration.roles`).
    """
    copy = with_values(cfg, run_dir=".")
    result: dict[str, Any] = without_paths(OmegaConf.to_container(copy, resolve=True))
    if "from_run" in copy:  # in training, the anatomy serves only the label check, which does not change the result
        del result["anatomy"]
    return result


def differing_keys(one: Mapping[str, Any], other: Mapping[str, Any]) -> list[str]:
    """Return the keys whose values differ, in alphabetical order; a key that is missing has the value None."""
    return sorted(key for key in one.keys() | other.keys() if one.get(key) != other.get(key))


def flatten(node: Any, prefix: str = "") -> dict[str, Any]:  # noqa: ANN401
    """Return nested dictionaries as one dictionary with dotted keys: `{"a": {"b": 1}}` gives `{"a.b": 1}`.

    Empty dictionaries and lists stay as they are.
    """
    if not isinstance(node, dict) or not node:
        return {prefix: node} if prefix else {}
    result = {}
    for key, value in node.items():
        result.update(flatten(value, f"{prefix}.{key}" if prefix else str(key)))
    return result


def override_key(override: str) -> str:
    """Return the key that an override of the command line sets: `optimizer.lr` for `+optimizer.lr=0.1`."""
    return override.lstrip("+~").partition("=")[0]


def is_at_or_below(key: str, node: str) -> bool:
    """Whether a dotted key is that of a node, or of a value below it."""
    return key == node or key.startswith(f"{node}.")


def referenced_keys(key: str, written: Mapping[str, Any]) -> list[str]:
    """Return the keys that a value refers to by `${...}`; empty if the value is written out.

    Args:
        key: A dotted key of the resolved configuration.
        written: The configuration before references are resolved, by dotted keys.
    """
    while key not in written and "." in key:  # the reference may be to a parent node as a whole
        key = key.rpartition(".")[0]
    return re.findall(r"\$\{([\w.]+)\}", str(written.get(key)))
