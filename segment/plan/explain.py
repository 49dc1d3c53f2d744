"""Compare two plans: what differs in their data sets and in their recipes, and why."""

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from segment.configuration.values import differing_keys, flatten
from segment.errors import UserError
from segment.plan.fingerprint import read_fingerprint


def explain(first: Path, second: Path) -> str:
    """Text that lists the differing facts of the data, then the differing settings with their reasons.

    Args:
        first: `experiment/<name>.yaml` of a plan, with `fingerprints/<name>.json` beside its folder if that was kept.
        second: The other.

    Raises:
        UserError: When a file cannot be read.
    """
    lines = [f"A: {first}", f"B: {second}"]
    facts = [_fingerprint(path) for path in (first, second)]
    if facts[0] and facts[1]:
        lines += ["", "data", *_differences(facts[0], facts[1])]
    texts = [_read(path) for path in (first, second)]
    settings = [_settings(path, text) for path, text in zip((first, second), texts, strict=True)]
    reasons = [_reasons(text) for text in texts]
    lines += ["", "recipe"]
    for key in differing_keys(settings[0], settings[1]):
        lines.append(f"  {key}")
        for letter, values, why in zip("AB", settings, reasons, strict=True):
            because = f"  # {why[key]}" if key in why else ""
            lines.append(f"    {letter} {_short(values.get(key))}{because}")
    return "\n".join(lines)


def _differences(one: Mapping[str, Any], other: Mapping[str, Any]) -> list[str]:
    keys = differing_keys(one, other)
    return [f"  {key}: A {_short(one.get(key))}, B {_short(other.get(key))}" for key in keys] or ["  no difference"]


def _short(value: Any) -> str:  # noqa: ANN401
    return "-" if value is None else json.dumps(value)


def _fingerprint(path: Path) -> dict[str, Any]:
    """The fingerprint by dotted keys; empty if it was not kept."""
    file = path.parent.parent / "fingerprints" / f"{path.stem}.json"
    return flatten(read_fingerprint(file).plain()) if file.exists() else {}


def _settings(path: Path, text: str) -> dict[str, Any]:
    """Choices of groups and settings of an experiment by dotted keys."""
    try:
        content = yaml.safe_load(text)
        settings = {}
        for choice in content.pop("defaults", []):
            settings.update({key.removeprefix("override /"): value for key, value in choice.items()})
    except (yaml.YAMLError, AttributeError, TypeError) as error:
        msg = f"{path} is not a plan ({error}); explain= takes two that segment plan wrote"
        raise UserError(msg) from error
    return settings | flatten(content)


def _reasons(text: str) -> dict[str, str]:
    """The comment above every line, by dotted key."""
    reasons: dict[str, str] = {}
    comment: list[str] = []
    parents: list[str] = []
    for line in text.splitlines():
        depth = (len(line) - len(line.lstrip())) // 2
        words = line.strip()
        if words.startswith("#"):
            comment.append(words.removeprefix("#").strip())
            continue
        key = re.match(r"(?:- override /)?([\w/]+):", words)
        if key:
            parents = [*parents[:depth], key[1]]
            dotted = key[1] if words.startswith("- ") else ".".join(parents)
            reasons.setdefault(dotted, " ".join(comment))  # a choice precedes the node of the same name
        comment = []
    return {key: reason for key, reason in reasons.items() if reason}


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except OSError as error:
        msg = f"cannot read {path}: {error.strerror}; explain= takes two names in folder=, or two files"
        raise UserError(msg) from error
