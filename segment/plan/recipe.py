"""A planned recipe as an experiment in YAML, with a reason for every line."""

import textwrap
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import yaml

WIDTH = 110  # of a comment


@dataclass(frozen=True)
class Line:
    """One setting of a recipe.

    Attributes:
        key: Dotted key; empty for a remark about something that is left at its default.
        value: Plain value.
        reason: Why, with the number behind it.
    """

    key: str
    value: Any
    reason: str


@dataclass(frozen=True)
class Recipe:
    """An experiment.

    Attributes:
        command: The command that runs it.
        summary: What it was planned for, one sentence each.
        choices: Options of groups: `key` is the group.
        lines: Settings, those of one node together.
    """

    command: str
    summary: Sequence[str]
    choices: Sequence[Line]
    lines: Sequence[Line]

    @property
    def starts_trained(self) -> bool:
        """Whether it begins with trained weights."""
        return any(line.key == "init_from" and line.value for line in self.lines)

    def text(self) -> str:
        """The file."""
        parts = ["# @package _global_", f"# {self.command}"]
        for sentence in self.summary:
            parts += _comment(sentence, 0)
        parts.append("defaults:")
        for choice in self.choices:
            parts += [*_comment(choice.reason, 1), f"  - override /{choice.key}: {_flow(choice.value)}"]
        parts += _nested(self.lines)
        return "\n".join(parts) + "\n"


def _nested(lines: Sequence[Line]) -> Iterator[str]:
    """YAML of dotted keys, each node written once; the lines of a node must follow each other."""
    opened: list[str] = []
    for line in lines:
        *parents, key = line.key.split(".")
        common = 0
        while common < min(len(opened), len(parents)) and opened[common] == parents[common]:
            common += 1
        for depth in range(common, len(parents)):
            yield f"{'  ' * depth}{parents[depth]}:"
        opened = parents
        yield from _comment(line.reason, len(parents))
        if key:
            yield from _pair(key, line.value, len(parents))


def _pair(key: str, value: Any, depth: int) -> Iterator[str]:  # noqa: ANN401
    indent = "  " * depth
    if isinstance(value, list) and value and isinstance(value[0], dict):
        yield f"{indent}{key}:"
        yield from (f"{indent}  - {_flow(item)}" for item in value)
    else:
        yield f"{indent}{key}: {_flow(value)}"


def _flow(value: Any) -> str:  # noqa: ANN401
    return yaml.safe_dump(value, default_flow_style=True, width=1000, sort_keys=False).removesuffix("\n...\n").strip()


def _comment(text: str, depth: int) -> list[str]:
    indent = "  " * depth + "# "
    return textwrap.wrap(text, WIDTH, initial_indent=indent, subsequent_indent=indent)
