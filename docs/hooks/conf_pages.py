"""Write the reference of the configuration as Markdown: a page of the commands, and one for each group of `conf/`."""

import re
from collections.abc import Iterable, Iterator
from functools import cache
from pathlib import Path

from conf_file import ConfFile, Option, read_conf_file

from segment.__main__ import COMMANDS
from segment.configuration.composition import initialized_hydra
from segment.configuration.groups import chosen_files, file_texts, groups_of

# Files of these groups are recipes or lists of steps, which a table would take apart: they are shown as they are.
SHOWN_AS_YAML = ("experiment", "sweep", "preprocess", "hydra/job_logging")
OF_US = re.compile(r"segment\.[\w.]+")


@cache
def pages(conf: Path) -> dict[str, tuple[str, str]]:
    """Title and Markdown of every page, by its path below `docs/`; the commands first."""
    groups = sorted({path.parent.relative_to(conf).as_posix() for path in conf.rglob("*/*.yaml")})
    written = {"configuration/commands.md": ("Commands", "\n".join(_commands(conf)))}
    for group in groups:
        written[f"configuration/{page_name(group)}"] = (group, "\n".join(_group(conf, group)))
    return written


def page_name(group: str) -> str:
    """File name of the page of a group; for example, `model/net` has `model-net.md`."""
    return f"{group.replace('/', '-')}.md"


def targets(conf: Path) -> list[str]:
    """The classes and functions of this package that `conf/` names, sorted."""
    texts = (path.read_text(encoding="utf-8") for path in conf.rglob("*.yaml"))
    return sorted({name for text in texts for name in re.findall(rf"_target_: ({OF_US.pattern})", text)})


def _commands(conf: Path) -> Iterator[str]:
    yield "# Commands and their options\n"
    yield "Every option is set by `key=value`. The groups of a command are listed with its default choices.\n"
    for command, (what, example) in COMMANDS.items():
        yield f"## segment {command}\n\n{what[0].upper()}{what[1:]}.\n\n```sh\n{example}\n```\n"
        if (conf / f"{command}.yaml").is_file():
            yield f"{_groups_of(conf, command)}\n"
            yield from _table(read_conf_file(conf, command).options)
    recipe = read_conf_file(conf, "recipe")
    yield f"## The recipe\n\n{as_markdown(recipe.description)}\n"
    yield from _table(recipe.options)


def _groups_of(conf: Path, command: str) -> str:
    """The groups of a command with its default choices as links, in one line."""
    with initialized_hydra(None):
        chosen = chosen_files(command)
        groups = groups_of(file_texts(chosen, [conf]))
    words = []
    for group in groups:
        choices = [path.rpartition("/")[2] for path in chosen if path.rpartition("/")[0] == group]
        bases = [base for name in choices for base in read_conf_file(conf, f"{group}/{name}").defaults]
        names = ",".join(name for name in choices if name not in bases)
        words.append(f"[`{group}={names or 'null'}`]({page_name(group)})")
    recipe = ", and the options of [the recipe](#the-recipe)" if "recipe" in chosen else ""
    return f"Groups: {', '.join(words)}{recipe}." if words else "It has no groups."


def _group(conf: Path, group: str) -> Iterator[str]:
    names = sorted(path.stem for path in (conf / group).glob("*.yaml"))
    yield f"# {group}\n\nThe files of `conf/{group}/`: {', '.join(f'`{group}={name}`' for name in names)}.\n"
    for name in names:
        file = read_conf_file(conf, f"{group}/{name}")
        yield f"## {group}={name}\n"
        if group in SHOWN_AS_YAML:
            yield f"```yaml\n{file.text}```\n"
            continue
        yield f"{as_markdown(file.description)}\n"
        yield f"{_origin(file)}\n"
        yield from _table(file.options)


def _origin(file: ConfFile) -> str:
    """The class that a file configures, and the files that it starts from."""
    group = file.name.rpartition("/")[0]
    bases = []
    for entry in file.defaults:
        if isinstance(entry, dict):
            bases += [f"`{group}/{key}={value}`" for key, value in entry.items()]
        elif entry != "_self_":
            bases.append(f"`{group}={entry}`")
    parts = [f"Class: {_class(file.target)}."] if file.target else []
    if bases:
        parts.append(f"It starts from {', '.join(bases)}.")
    return " ".join(parts)


def _table(options: Iterable[Option]) -> Iterator[str]:
    rows = [_row(option) for option in options]
    if rows:
        yield "| option | default | meaning |\n|---|---|---|"
        yield from rows
        yield ""


def _row(option: Option) -> str:
    default = f"`{_escaped(option.default)}`" if option.default else ""
    if option.default == "???":
        default = "none: give a value"
    parts = [f"*{option.accepts[0].upper()}{option.accepts[1:]}.*"] if option.accepts else []
    if option.target:
        parts.insert(0, f"Class: {_class(option.target)}.")
    parts.append(as_markdown(option.comment))
    return f'| <a id="{option.key}"></a>`{option.key}` | {default} | {" ".join(filter(None, parts))} |'


def _class(target: str) -> str:
    """The dotted name of a class; one of this package is its short name, as a link to its reference."""
    return f"[`{target.rpartition('.')[2]}`][{target}]" if OF_US.match(target) else f"`{target}`"


def _escaped(code: str) -> str:
    return code.replace("|", "\\|")


def as_markdown(comment: str) -> str:
    """A comment of a YAML file as Markdown: what would be markup or HTML stays text, and `docs/…` becomes a link."""
    outside = re.split(r"(`[^`]*`)", comment)
    for index in range(0, len(outside), 2):
        outside[index] = re.sub(r"([*_\[\]])", r"\\\1", outside[index].replace("&", "&amp;").replace("<", "&lt;"))
        outside[index] = re.sub(r"docs/(\w+\.md)", r"[\1](../\1)", outside[index])
    return _escaped("".join(outside))
