"""Where configuration lies, and the composed one as plain values, to compare, record and log."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf

from segment.privacy import without_paths

OF_CALL = ("run_dir", "resume", "allow_changed", "from_run", "preflight", "label_check")


def config_dir() -> str:
    """Folder of the configuration: beside the package in a checkout, inside it in a wheel."""
    package = Path(__file__).resolve().parents[1]
    inside = package / "conf"
    return str(inside if inside.is_dir() else package.parent / "conf")


def portable(cfg: DictConfig) -> dict[str, Any]:
    """The resolved configuration as equal runs have it on any machine.

    The run folder is `.`, and of an absolute path the last name stays. Keys of `OF_CALL` say how this process was
    called, so equal runs may differ in them.
    """
    copy = cfg.copy()
    copy.run_dir = "."
    result: dict[str, Any] = without_paths(OmegaConf.to_container(copy, resolve=True))
    if "from_run" in copy:
        del result["anatomy"]  # labels are held against it before training, which does not depend on it
    return result


def flat(node: Any, prefix: str = "") -> dict[str, Any]:  # noqa: ANN401
    """Nested dictionaries as one level of dotted keys."""
    if not isinstance(node, dict) or not node:
        return {prefix: node}
    return {
        k: v for key, value in node.items() for k, v in flat(value, f"{prefix}.{key}" if prefix else str(key)).items()
    }


def sources(key: str, written: Mapping[str, Any]) -> list[str]:
    """Keys that a value repeats by `${...}`; empty when it is written out.

    Args:
        key: A dotted key of the resolved configuration.
        written: The configuration before it is resolved, by dotted keys.
    """
    while key not in written and "." in key:  # it may lie within a node that is repeated as a whole
        key = key.rpartition(".")[0]
    return re.findall(r"\$\{([\w.]+)\}", str(written.get(key)))
