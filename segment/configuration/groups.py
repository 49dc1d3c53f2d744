"""The groups of configuration that a command chooses from; within `hydra_of`."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import yaml
from hydra.core.global_hydra import GlobalHydra
from hydra.types import RunMode


def chosen_files(command: str, overrides: Sequence[str] = ()) -> dict[str, str]:
    """Package by path, without its suffix, of every file of configuration that makes up a command's, in their order.

    Raises:
        HydraException: When an override chooses what there is not.
    """
    defaults = (
        GlobalHydra.instance().config_loader().compute_defaults_list(command, list(overrides), RunMode.RUN).defaults
    )
    packages = {str(entry.config_path): str(entry.package or "") for entry in defaults}
    return {path: package for path, package in packages.items() if not path.startswith("hydra/")}


def file_texts(files: Mapping[str, str], folders: Sequence[Path]) -> dict[str, str]:
    """Text of each file, from the first folder that holds it; empty where none does."""
    return {path: _text(path, folders) for path in files}


def groups_of(texts: Mapping[str, str]) -> list[str]:
    """Groups that files of configuration lie in or, as null in a defaults list, choose nothing of; sorted."""
    groups = {path.rpartition("/")[0] for path in texts if "/" in path}
    for text in texts.values():
        for entry in (yaml.safe_load(text) or {}).get("defaults", []):
            if isinstance(entry, dict):
                groups |= {group for group, choice in entry.items() if choice is None and "override" not in group}
    return sorted(groups)


def _text(path: str, folders: Sequence[Path]) -> str:
    files = (folder / f"{path}.yaml" for folder in folders)
    return next((file.read_text(encoding="utf-8") for file in files if file.is_file()), "")
