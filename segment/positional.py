"""Words on the command line that are no `key=value`."""

import re
from collections.abc import Sequence
from glob import glob

# Hydra's options that a word follows.
_ASK = {"-c", "--cfg", "-i", "--info", "-p", "--package", "-cn", "--config-name", "-cd", "--config-dir"}


def as_override(key: str, arguments: Sequence[str]) -> list[str]:
    """The arguments with all words that stand alone gathered into one override, `key=[...]`.

    A word with `=` in it stands alone, too, where it begins as no key does or names a file or folder that is there.
    """
    words: list[str] = []
    rest: list[str] = []
    for before, argument in zip(["", *arguments], arguments, strict=False):
        (words if before not in _ASK and _stands_alone(argument) else rest).append(argument)
    return [*rest, f"{key}=[{','.join(map(_quoted, words))}]"] if words else rest


def _stands_alone(argument: str) -> bool:
    if argument.startswith("-"):
        return False
    is_override = re.match(r"[+~]{0,2}[\w.@/]+=", argument) is not None
    return not is_override or bool(glob(argument))  # noqa: PTH207  # patterns may be absolute


def _quoted(text: str) -> str:
    """In Hydra's quotes, where a backslash has a meaning only before a quote."""
    doubled = re.sub(r'(\\+)(?="|$)', r"\1\1", text)
    return '"' + doubled.replace('"', '\\"') + '"'
