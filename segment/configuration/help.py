"""The help page of a command: the groups it chooses from, and every option with the comments of the YAML."""

import re
import textwrap
from collections.abc import Collection, Iterator, Mapping, Sequence
from pathlib import Path

from hydra.core.global_hydra import GlobalHydra
from hydra.core.object_type import ObjectType
from hydra.errors import HydraException

from segment.configuration.composition import hydra_of
from segment.configuration.explanation import explained
from segment.configuration.groups import chosen_files, file_texts, groups_of
from segment.configuration.values import config_dir


def help_page(command: str, what: str, example: str, overrides: Sequence[str], folder: str | None) -> str:
    """What can be set, as text.

    Args:
        command: The command.
        what: What it does.
        example: How it is called.
        overrides: Choices of groups, whose options are then the ones shown.
        folder: Where configuration is looked for before the project's own (`--config-dir`).

    Raises:
        UserError: When a choice does not exist.
    """
    with hydra_of(folder):
        loader = GlobalHydra.instance().config_loader()
        try:
            chosen = chosen_files(command, overrides)
        except HydraException as error:
            raise explained(error, command, overrides) from error
        texts = file_texts(chosen, [*([Path(folder)] if folder else []), Path(config_dir())])
        choices = {group: loader.get_group_options(group, ObjectType.CONFIG) for group in groups_of(texts)}
    sections = [_section(package, path, texts[path]) for path, package in reversed(chosen.items())]
    return "\n".join(
        [
            f"segment {command}: {what}\n  {example}\n",
            *_groups(choices, chosen),
            "Options, set by key=value; -m key=a,b runs once for each value",
            *(section for section in sections if section),
        ]
    )


def _groups(choices: Mapping[str, Sequence[str]], chosen: Collection[str]) -> Iterator[str]:
    if choices:
        yield "Groups, chosen by group=option; * is the choice here"
    width = max(map(len, choices), default=0)
    for group, options in choices.items():
        marked = ", ".join(f"{name}*" if f"{group}/{name}" in chosen else name for name in options)
        yield f"  {group:<{width}}  {marked}"
    yield ""


def _section(package: str, path: str, text: str) -> str:
    """One file's options under the key that they belong to."""
    text = re.sub(r"^hydra:.*\n(?:[ #].*\n|\n)*", "", text, flags=re.MULTILINE)  # which has a help page of its own
    text = re.sub(r"^defaults:.*\n(?:[ \-].*\n|\n)*", _explained_choices, text, flags=re.MULTILINE)
    lines = [line for line in text.splitlines() if line.strip() and not line.startswith("# @package")]
    if not any(not line.startswith("#") for line in lines):
        return ""
    keys = package.split(".") if package else []
    head = [f"{'  ' * depth}{key}:" for depth, key in enumerate(keys)]
    return "\n".join([f"\n# ─── {'='.join(path.rsplit('/', 1))}", *head, *("  " * len(keys) + line for line in lines)])


def _explained_choices(defaults: re.Match[str]) -> str:
    """Of a defaults list, which stands above already, the choices that have a comment."""
    choices = re.findall(r"(?:^ *#.*\n)+^ *- .*\n", defaults[0], flags=re.MULTILINE)
    return textwrap.dedent("".join(choices)).replace("- ", "")
