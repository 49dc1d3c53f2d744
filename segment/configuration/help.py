"""The help page of a command: its configuration groups, and every option with the comment from the YAML."""

import re
import textwrap
from collections.abc import Collection, Iterator, Mapping, Sequence
from pathlib import Path

from hydra.core.global_hydra import GlobalHydra
from hydra.core.object_type import ObjectType
from hydra.errors import HydraException

from segment.configuration.composition import initialized_hydra
from segment.configuration.explanation import explain_error
from segment.configuration.groups import chosen_files, file_texts, groups_of
from segment.configuration.values import config_dir


def help_page(command: str, summary: str, example: str, overrides: Sequence[str], folder: str | None) -> str:
    """Return the help page as text.

    Args:
        command: Name of the command.
        summary: What the command does, in a few words.
        example: A typical command line.
        overrides: Overrides that choose options of groups; the page shows the keys of these options.
        folder: Value of `--config-dir`, which is searched before `conf/`; None when it is not given.

    Raises:
        UserError: When an override chooses an option that does not exist.
    """
    folders = [Path(config_dir())]
    if folder:
        folders.insert(0, Path(folder))
    with initialized_hydra(folder):
        loader = GlobalHydra.instance().config_loader()
        try:
            chosen = chosen_files(command, overrides)
        except HydraException as error:
            raise explain_error(error, command, overrides) from error
        texts = file_texts(chosen, folders)
        choices = {group: loader.get_group_options(group, ObjectType.CONFIG) for group in groups_of(texts)}
    sections = [_section(package, path, texts[path]) for path, package in reversed(chosen.items())]
    return "\n".join(
        [
            f"segment {command}: {summary}\n  {example}\n",
            *_group_lines(choices, chosen),
            "Options, set by key=value; -m key=a,b runs once for each value",
            *(section for section in sections if section),
        ]
    )


def _group_lines(choices: Mapping[str, Sequence[str]], chosen: Collection[str]) -> Iterator[str]:
    if choices:
        yield "Groups, chosen by group=option; * marks the current choice"
    width = max(map(len, choices), default=0)
    for group, options in choices.items():
        marked = ", ".join(f"{name}*" if f"{group}/{name}" in chosen else name for name in options)
        yield f"  {group:<{width}}  {marked}"
    yield ""


def _section(package: str, path: str, text: str) -> str:
    """Return the options of one file under the key that they belong to; empty if the file has none."""
    text = re.sub(r"^hydra:.*\n(?:[ #].*\n|\n)*", "", text, flags=re.MULTILINE)  # see --hydra-help for these options
    text = re.sub(r"^defaults:.*\n(?:[ \-].*\n|\n)*", _commented_choices, text, flags=re.MULTILINE)
    lines = [line for line in text.splitlines() if line.strip() and not line.startswith("# @package")]
    if all(line.startswith("#") for line in lines):
        return ""
    keys = package.split(".") if package else []
    title = f"\n# ─── {'='.join(path.rsplit('/', 1))}"
    parents = [f"{'  ' * depth}{key}:" for depth, key in enumerate(keys)]
    indent = "  " * len(keys)
    return "\n".join([title, *parents, *(indent + line for line in lines)])


def _commented_choices(defaults: re.Match[str]) -> str:
    """Return the choices of a defaults list that have a comment; the list of groups shows all of them."""
    choices = re.findall(r"(?:^ *#.*\n)+^ *- .*\n", defaults[0], flags=re.MULTILINE)
    return textwrap.dedent("".join(choices)).replace("- ", "")
