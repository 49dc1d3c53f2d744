"""Texts that can be handed on: absolute paths tell about people and machines, so only their last name stays."""

import re
import sys
from pathlib import Path
from typing import Any

_NAME = r"[^\s/\\\"'`,;:|()\[\]{}<>=]+"
# What stands before the last name of a path that starts at the root, at a drive or at a home. Not the middle of a
# relative path or of a URL, and not /dev/null, which has a meaning in patches.
_ABSOLUTE = re.compile(
    r"(?:(?<=file://)|(?<![\w.~/\\-]))(?!/dev/null)"
    rf"(?:~[\w-]*[/\\](?:{_NAME}[/\\])*|(?:[A-Za-z]:)?[/\\](?:{_NAME}[/\\])+)(?={_NAME})"
)
# The same between quotes, where names may hold blanks.
_QUOTED = re.compile(r"""(?<=['"])(?!/dev/null)(?:/|~|[A-Za-z]:[/\\])[^'"\n]*[/\\](?=[^'"/\\\n]+['"])""")
_ROOT = re.compile(r"(?:/|~|[A-Za-z]:[/\\])")


def without_paths(value: Any) -> Any:  # noqa: ANN401
    """The same plain value, with every absolute path in its strings cut to the last name.

    A string that starts as a path is one as a whole, blanks and all.

    Args:
        value: Strings, numbers, None, or lists and dictionaries of them.
    """
    if isinstance(value, dict):
        return {key: without_paths(item) for key, item in value.items()}
    if isinstance(value, list):
        return [without_paths(item) for item in value]
    if not isinstance(value, str):
        return value
    if _ROOT.match(value) and "\n" not in value:
        return re.split(r"[/\\]", value.rstrip("/\\"))[-1]
    return _cut(value)


def without_paths_in_log(text: str) -> str:
    """A log's text or a traceback without absolute paths; those of imported code start at their package."""
    for root in sorted({*sys.path, str(Path(__file__).parents[1])}, key=len, reverse=True):
        if len(root) > 1:
            text = text.replace(f"{root.rstrip('/')}/", "")
    return _cut(text)


def _cut(text: str) -> str:
    return _ABSOLUTE.sub("", _QUOTED.sub("", text))
