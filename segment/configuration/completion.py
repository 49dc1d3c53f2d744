"""Restrict tab completion to one command: Hydra has no commands and offers the groups of all of them."""

from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from segment.configuration.arguments import parse_arguments
from segment.configuration.composition import initialized_hydra
from segment.configuration.groups import chosen_files, file_texts, groups_of
from segment.configuration.values import config_dir
from segment.errors import UserError


def config_dir_of_line(line: str) -> str | None:
    """Return the folder that `--config-dir` names in an unfinished command line; None when there is no such folder."""
    with suppress(UserError):
        name = parse_arguments(line.split()).value_of("--config-dir") or ""
        folder = Path(name).expanduser()
        if folder != Path() and folder.is_dir():
            return str(folder)
    return None


def filter_completions(command: str, offered: Sequence[str], folder: str | None) -> list[str]:
    """Drop the offered words that are groups of other commands.

    Args:
        command: The command that is being completed.
        offered: Hydra's suggestions.
        folder: Value of `--config-dir`, or None.
    """
    folders = [Path(config_dir())]
    if folder:
        folders.insert(0, Path(folder))
    with initialized_hydra(folder):
        groups = groups_of(file_texts(chosen_files(command), folders))
    own = {"hydra", *groups, *(group.partition("/")[0] for group in groups)}
    kept = []
    for word in dict.fromkeys(offered):
        name = word.lstrip("+~").partition("=")[0].rstrip("/")
        is_group = any((root / name).is_dir() for root in folders)
        if name in own or not is_group:
            kept.append(word)
    return kept
