"""Remove absolute paths from text that may be shared.

Absolute paths reveal user and machine names, so only the last component is kept: `/home/jane/cts` becomes `cts`.
"""

import re
import sys
from pathlib import Path
from typing import Any

_NAME = r"[^\s/\\\"'`,;:|()\[\]{}<>=]+"
# Everything before the last component of a path that starts at the root, a drive or a home folder. It must not match
# inside a relative path or a URL, after a placeholder such as <run folder>, nor /dev/null, which patches contain.
_ABSOLUTE = re.compile(
    r"(?:(?<=file://)|(?<![\w.~/\\>-]))(?!/dev/null)"
    rf"(?:~[\w-]*[/\\](?:{_NAME}[/\\])*|(?:[A-Za-z]:)?[/\\](?:{_NAME}[/\\])+)(?={_NAME})"
)
# The same between quotes, where components may contain spaces.
_QUOTED = re.compile(r"""(?<=['"])(?!/dev/null)(?:/|~|[A-Za-z]:[/\\])[^'"\n]*[/\\](?=[^'"/\\\n]+['"])""")
_ROOT = re.compile(r"(?:/|~|[A-Za-z]:[/\\])")


def without_paths(value: Any) -> Any:  # noqa: ANN401
    """Return a plain value with every absolute path in its strings reduced to the last component.

    A string that starts like an absolute path is treated as one path, including its spaces.

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


def without_path(argument: str) -> str:
    """Return an argument `key=value` of a command with an absolute path in its value reduced to the last component."""
    key, equals, value = argument.partition("=")
    return f"{key}{equals}{without_paths(value)}"


def without_paths_in_sentence(text: str) -> str:
    """Return a sentence with every absolute path in it reduced to the last component.

    Unlike in `without_paths`, a path at the start of the text ends at a space.
    """
    return _cut(text)


def without_paths_in_log(text: str) -> str:
    """Return a log or traceback without absolute paths.

    Paths of imported modules start at their package, for example `torch/serialization.py`.
    """
    for root in sorted({*sys.path, str(Path(__file__).parents[1])}, key=len, reverse=True):
        if len(root) > 1:
            text = text.replace(f"{root.rstrip('/')}/", "")
    return _cut(text)


def _cut(text: str) -> str:
    return _ABSOLUTE.sub("", _QUOTED.sub("", text))
