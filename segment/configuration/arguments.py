"""The words of a command line: Hydra's own options, and overrides `key=value`."""

import difflib
import re
from collections.abc import Sequence
from dataclasses import dataclass
from glob import glob

from segment.errors import UserError

# Hydra's options; those of the second kind take a value.
SWITCHES = {
    *("-h", "--help", "--hydra-help", "--version", "--resolve", "-r", "--run"),
    *("-m", "--multirun", "-sc", "--shell-completion"),
}
VALUED = {"-c": "--cfg", "-p": "--package", "-i": "--info", "-cd": "--config-dir"}
VALUED["--experimental-rerun"] = "--experimental-rerun"
VALUED |= {name: name for name in VALUED.values()}
CHOICES = {
    "--cfg": ("job", "hydra", "all"),
    "--info": ("all", "config", "defaults", "defaults-tree", "plugins", "searchpath"),
}


@dataclass(frozen=True)
class Arguments:
    """A command line, taken apart.

    Attributes:
        options: Hydra's options, each with its value behind it.
        overrides: Words with a `=`, and those that remove a key (`~key`).
        others: Options that Hydra does not have, each with what is likely its value, or None.
        words: What stands alone.
    """

    options: tuple[str, ...]
    overrides: tuple[str, ...]
    others: tuple[tuple[str, str | None], ...]
    words: tuple[str, ...]

    @property
    def rest(self) -> list[str]:
        """All but Hydra's options, for Hydra to refuse what it does not know."""
        others = [word for option in self.others for word in option if word is not None]
        return [*self.overrides, *others, *self.words]

    def of(self, name: str) -> str | None:
        """Value of one of Hydra's options, by its long name; None where it is not given."""
        return next((value for key, value in zip(self.options, self.options[1:], strict=False) if key == name), None)

    def has(self, *names: str) -> bool:
        """Whether one of Hydra's options is given."""
        return not set(names).isdisjoint(self.options)


def taken_apart(words: Sequence[str], paths: bool = False) -> Arguments:
    """Take a command line apart, whatever the order of options and overrides.

    Args:
        words: The command line without the command.
        paths: Whether words may stand alone; then one with a `=` does, too, if no key begins so or if it names a file
            or folder that exists.

    Raises:
        UserError: When one of Hydra's options lacks its value, or cannot have the one that it has.
    """
    options: list[str] = []
    overrides: list[str] = []
    others: list[tuple[str, str | None]] = []
    alone: list[str] = []
    rest = list(words)
    while rest:
        word = rest.pop(0)
        name, has_value, value = word.partition("=")
        if word in SWITCHES:
            options.append(word)
        elif name in VALUED:
            options += [VALUED[name], _checked(name, value if has_value else _next(name, rest))]
        elif re.match(r"--?[A-Za-z]", word):
            guess = value if has_value else rest.pop(0) if rest and not _is_key(rest[0]) else None
            others.append((name, guess))
        elif _is_key(word) and not (paths and _is_path(word)):
            overrides.append(word)
        else:
            alone.append(word)
    return Arguments(tuple(options), tuple(overrides), tuple(others), tuple(alone))


def as_override(key: str, words: Sequence[str]) -> str:
    """Words that stand alone as one override, `key=["a","b"]`."""
    return f"{key}=[{','.join(map(_quoted, words))}]"


def _quoted(text: str) -> str:
    """In Hydra's quotes, where a backslash has a meaning only before a quote."""
    doubled = re.sub(r'(\\+)(?="|$)', r"\1\1", text)
    return '"' + doubled.replace('"', '\\"') + '"'


def _is_path(word: str) -> bool:
    return re.match(r"[+~]{0,2}[\w.@/]+=", word) is None or bool(glob(word))  # noqa: PTH207  # patterns may be absolute


def _is_key(word: str) -> bool:
    return word.startswith("~") or "=" in word or word.startswith("-")


def _next(name: str, rest: list[str]) -> str:
    if not rest or _is_key(rest[0]):
        msg = f"{name} needs a value" + (
            f": one of {', '.join(CHOICES[VALUED[name]])}" if VALUED[name] in CHOICES else ""
        )
        raise UserError(msg)
    return rest.pop(0)


def _checked(name: str, value: str) -> str:
    choices = CHOICES.get(VALUED[name], ())
    if choices and value not in choices:
        near = difflib.get_close_matches(value, choices, n=1)
        msg = f"{name} takes one of {', '.join(choices)}, got {value}" + (f"; did you mean {near[0]}?" if near else "")
        raise UserError(msg)
    return value
