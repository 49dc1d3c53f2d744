"""Read a file of `conf/` for the documentation: its options with their defaults, types and comments."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NotRequired, get_args, get_origin, get_type_hints, is_typeddict

import yaml

from segment.coercion import describe
from segment.configuration.schema import SCHEMAS
from segment.configuration.signature import signature

NO_OPTIONS = ("defaults", "hydra", "_target_", "_partial_", "_convert_")
LONGEST_DEFAULT = 60  # characters; a longer list or mapping is shortened
NO_TYPE = ("another value", "keys with values")  # words of `describe` that say nothing to a reader


@dataclass(frozen=True)
class Option:
    """An option as a row of a table.

    Attributes:
        key: The whole key, as on the command line.
        default: Its value in the file; empty for an object.
        accepts: The type and the range in words; empty if every value is accepted.
        target: Dotted name of the class or function that an object is made by; empty for a value.
        comment: The comment above it and beside it.
    """

    key: str
    default: str
    accepts: str
    target: str
    comment: str


@dataclass(frozen=True)
class ConfFile:
    """A file of the configuration.

    Attributes:
        name: Path below `conf/` without the suffix, for example `trainer/gpu`.
        text: Its content.
        description: The comment at its top.
        target: Dotted name of the class that it configures; empty if it is none.
        defaults: The entries of its defaults list.
        options: Its options, in order.
    """

    name: str
    text: str
    description: str
    target: str
    defaults: list[Any]
    options: list[Option]


def read_conf_file(folder: Path, name: str) -> ConfFile:
    """Read `<folder>/<name>.yaml`."""
    text = (folder / f"{name}.yaml").read_text(encoding="utf-8")
    lines = text.splitlines()
    root = yaml.compose(text)
    content = yaml.safe_load(text) or {}
    options: list[Option] = []
    if isinstance(root, yaml.MappingNode):
        options = list(_options(root, _package(text, name), _root_hints(name), lines))
    description = " ".join(re.match(r"(?:#.*\n)*", text)[0].replace("\n#", " ").lstrip("#").split())
    return ConfFile(
        name=name,
        text=text,
        description=re.sub(r"^@package \S+( #)?", "", description).strip(),
        target=str(content.get("_target_", "")),
        defaults=content.get("defaults", []),
        options=options,
    )


def _package(text: str, name: str) -> tuple[str, ...]:
    """The key below which Hydra puts the content of a file, in parts."""
    header = re.match(r"# @package (\S+)", text)
    if header:
        return () if header[1] == "_global_" else tuple(header[1].split("."))
    return tuple(name.split("/")[:-1])


def _root_hints(name: str) -> Mapping[str, Any]:
    """The types of the keys at the top of a file of a command, or of the recipe."""
    schema = SCHEMAS.get({"recipe": "train"}.get(name, name))
    return _fields(schema) if schema else {}


def _fields(schema: Any) -> Mapping[str, Any]:  # noqa: ANN401
    hints = get_type_hints(schema, include_extras=True)
    return {key: get_args(hint)[0] if get_origin(hint) is NotRequired else hint for key, hint in hints.items()}


def _options(
    node: yaml.MappingNode, parents: tuple[str, ...], hints: Mapping[str, Any], lines: list[str]
) -> Iterator[Option]:
    """The options below a mapping, depth first."""
    target = _target(node)
    known = signature(target) if target else None
    if known:
        hints = known.parameters
    for key, value in node.value:
        if key.value in NO_OPTIONS:
            continue
        path, hint = (*parents, key.value), hints.get(key.value, Any)
        comment = _comment(key, value, lines)
        is_parent = isinstance(value, yaml.MappingNode) and not _is_plain(value)
        if is_parent and not (comment or _target(value)):
            yield from _options(value, path, _hints_below(hint), lines)
            continue
        default = "" if is_parent else _default(value)
        yield Option(".".join(path), default, _accepts(hint), _target(value), comment)
        if is_parent:
            yield from _options(value, path, _hints_below(hint), lines)


def _target(node: yaml.Node) -> str:
    if not isinstance(node, yaml.MappingNode):
        return ""
    return next((str(value.value) for key, value in node.value if key.value == "_target_"), "")


def _is_plain(node: yaml.MappingNode) -> bool:
    """Whether a mapping holds values only, for example codes by organ; it is then one option."""
    return not any(key.value == "_target_" or isinstance(value, yaml.MappingNode) for key, value in node.value)


def _hints_below(hint: Any) -> Mapping[str, Any]:  # noqa: ANN401
    return _fields(hint) if is_typeddict(hint) else {}


def _accepts(hint: Any) -> str:  # noqa: ANN401
    words = describe(hint)
    return "" if words in ("text", "null") or any(word in words for word in NO_TYPE) else words


def _comment(key: yaml.Node, value: yaml.Node, lines: list[str]) -> str:
    """The comment lines directly above a key at its indentation, and the comment behind its value.

    The comment at the top of a file describes the file, not its first key.
    """
    first, above = key.start_mark.line - 1, []
    while first >= 0 and re.match(rf" {{{key.start_mark.column}}}#", lines[first]):
        above.insert(0, lines[first].strip().lstrip("# "))
        first -= 1
    if first < 0:
        above = []
    last_line = lines[value.end_mark.line if isinstance(value, yaml.ScalarNode) else key.start_mark.line]
    beside = re.search(r"\s#\s+(.*)$", last_line)
    return " ".join([*above, *([beside[1]] if beside else [])])


def _default(node: yaml.Node) -> str:
    """A value on one line, as the command line takes it; long lists and mappings are shortened."""
    if isinstance(node, yaml.ScalarNode):
        return str(node.value) if node.value else '""'
    plain = yaml.safe_load(yaml.serialize(node))
    text = yaml.safe_dump(plain, default_flow_style=True, sort_keys=False, width=10**6, allow_unicode=True).strip()
    text = text.replace("'", "")  # which only YAML needs, e.g. around ${organs}
    return text if len(text) <= LONGEST_DEFAULT else f"{text[:LONGEST_DEFAULT].rpartition(',')[0]}, … ({len(plain)})"
