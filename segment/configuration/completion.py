"""What the tab key offers of what Hydra finds: Hydra knows no commands, and offers the groups of all."""

from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from segment.configuration.arguments import taken_apart
from segment.configuration.composition import hydra_of
from segment.configuration.groups import chosen_files, file_texts, groups_of
from segment.configuration.values import config_dir
from segment.errors import UserError


def config_folder(line: str) -> str | None:
    """The folder that an unfinished command line names by `--config-dir`, if there is one."""
    with suppress(UserError):
        folder = Path(taken_apart(line.split()).of("--config-dir") or "").expanduser()
        return str(folder) if folder != Path() and folder.is_dir() else None
    return None


def of_command(command: str, offered: Sequence[str], folder: str | None) -> list[str]:
    """Those of the words offered that are no groups of other commands."""
    folders = [*([Path(folder)] if folder else []), Path(config_dir())]
    with hydra_of(folder):
        groups = groups_of(file_texts(chosen_files(command), folders))
    own = {"hydra", *groups, *(group.partition("/")[0] for group in groups)}
    names = {word: word.lstrip("+~").partition("=")[0].rstrip("/") for word in offered}
    return [word for word, name in names.items() if name in own or not any((at / name).is_dir() for at in folders)]
