"""Find the configuration groups that a command chooses from; call these functions within `initialized_hydra`."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import yaml
from hydra.core.global_hydra import GlobalHydra
from hydra.types import RunMode


def chosen_files(command: str, overrides: Sequence[str] = ()) -> dict[str, str]:
    """Return the configuration files that a command is composed from, in Hydra's order.

    Returns:
        The package of each file by its path without the suffix; for example, `{"datamodule/patches": "data"}`.

    Raises:
        HydraException: When an override chooses an option that does not exist.
    """
    loader = GlobalHydra.instance().config_loader()
    defaults = loader.compute_defaults_list(command, list(overrides), RunMode.RUN).defaults
    files = {}
    for entry in defaults:
        path = str(entry.config_path)
        if not path.startswith("hydra/"):
            files[path] = str(entry.package or "")
    return files


def file_texts(files: Mapping[str, str], folders: Sequence[Path]) -> dict[str, str]:
    """Return the text of each file, from the first folder that holds it; empty if no folder does."""
    return {path: _text(path, folders) for path in files}


def groups_of(texts: Mapping[str, str]) -> list[str]:
    """Return the groups that files belong to, and those for which a defaults list chooses nothing (null); sorted.

    Args:
        texts: The text of each file by its path.
    """
    groups = {path.rpartition("/")[0] for path in texts if "/" in path}
    for text in texts.values():
        for entry in (yaml.safe_load(text) or {}).get("defaults", []):
            if isinstance(entry, dict):
                groups |= {group for group, choice in entry.items() if choice is None and "override" not in group}
    return sorted(groups)


def _text(path: str, folders: Sequence[Path]) -> str:
    for folder in folders:
        file = folder / f"{path}.yaml"
        if file.is_file():
            return file.read_text(encoding="utf-8")
    return ""
