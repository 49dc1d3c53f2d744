"""Where configuration lies, and the composed one as plain values, to compare, record and log."""

from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf

from segment.privacy import without_paths


def config_dir() -> str:
    """Folder of the configuration: beside the package in a checkout, inside it in a wheel."""
    package = Path(__file__).resolve().parent
    inside = package / "conf"
    return str(inside if inside.is_dir() else package.parent / "conf")


def portable(cfg: DictConfig) -> dict[str, Any]:
    """The resolved configuration as equal runs have it on any machine.

    The run folder is `.`, what only tells how the run was called is as by default, and of an absolute path the last
    name stays.
    """
    copy = cfg.copy()
    copy.run_dir, copy.resume, copy.allow_changed = ".", False, []
    if "from_run" in copy:
        copy.from_run, copy.preflight, copy.label_check = None, True, "refuse"
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
