"""Parse a command line into Hydra's options and overrides of the form `key=value`."""

import difflib
import re
from collections.abc import Sequence
from dataclasses import dataclass
from glob import glob

from segment.errors import UserError

# Hydra's options without a value.
SWITCHES = {
    *("-h", "--help", "--hydra-help", "--version", "--resolve", "-r", "--run"),
    *("-m", "--multirun", "-sc", "--shell-completion"),
}
# Hydra's options with a value: every spelling and its long name.
VALUED = {"-c": "--cfg", "-p": "--package", "-i": "--info", "-cd": "--config-dir"}
VALUED["--experimental-rerun"] = "--experimental-rerun"
VALUED |= {name: name for name in VALUED.values()}
CHOICES = {
    "--cfg": ("job", "hydra", "all"),
    "--info": ("all", "config", "defaults", "defaults-tree", "plugins", "searchpath"),
}


@dataclass(frozen=True)
class Arguments:
    """A parsed command line.

    Attributes:
        options: Hydra's options by their long names, each followed by its value if it takes one.
        overrides: Words with a `=`, and words that remove a key (`~key`).
        unknown: Options that Hydra does not have, with the value that probably belongs to each, or None. For example,
            `--epochs 5` is `("--epochs", "5")`.
        positional: Words without a key.
    """

    options: tuple[str, ...]
    overrides: tuple[str, ...]
    unknown: tuple[tuple[str, str | None], ...]
    positional: tuple[str, ...]

    @property
    def rest(self) -> list[str]:
        """Everything except Hydra's options. Hydra itself refuses what is wrong in it."""
        words = list(self.overrides)
        for name, value in self.unknown:
            words.append(name)
            if value is not None:
                words.append(value)
        return [*words, *self.positional]

    def value_of(self, name: str) -> str | None:
        """Value of one of Hydra's options, by its long name; None when the option is not given."""
        for option, value in zip(self.options, self.options[1:], strict=False):
            if option == name:
                return value
        return None

    def has(self, *names: str) -> bool:
        """Whether at least one of these options of Hydra is given."""
        return not set(names).isdisjoint(self.options)


def parse_arguments(words: Sequence[str], paths: bool = False) -> Arguments:
    """Parse a command line in which options and overrides may come in any order.

    Args:
        words: The command line without the name of the command.
        paths: Whether the command takes words without a key. If so, a word with a `=` is one of them when no key can
            begin like it, or when it names an existing file or folder, for example `runs/lr=0.1,seed=0`.

    Raises:
        UserError: When one of Hydra's options has no value, or a value that it does not accept.
    """
    options: list[str] = []
    overrides: list[str] = []
    unknown: list[tuple[str, str | None]] = []
    positional: list[str] = []
    rest = list(words)
    while rest:
        word = rest.pop(0)
        name, equals_sign, value = word.partition("=")
        if word in SWITCHES:
            options.append(word)
        elif name in VALUED:
            if not equals_sign:
                value = _next_value(name, rest)
            options += [VALUED[name], _check_value(name, value)]
        elif re.match(r"--?[A-Za-z]", word):
            unknown.append((name, value if equals_sign else _likely_value(rest)))
        elif _is_override(word) and not (paths and _is_path(word)):
            overrides.append(word)
        else:
            positional.append(word)
    return Arguments(tuple(options), tuple(overrides), tuple(unknown), tuple(positional))


def as_override(key: str, words: Sequence[str]) -> str:
    """Return one override that holds a list of words: `key=['a','b']`."""
    return f"{key}=[{','.join(map(quoted, words))}]"


def quoted(text: str) -> str:
    """Quote any text as the value of a Hydra override."""
    # Hydra reads a backslash as an escape only if a quote follows, so only these backslashes are doubled.
    doubled = re.sub(r"(\\+)(?='|$)", r"\1\1", text)
    return "'" + doubled.replace("'", r"\'") + "'"


def _is_path(word: str) -> bool:
    return re.match(r"[+~]{0,2}[\w.@/]+=", word) is None or bool(glob(word))  # noqa: PTH207  # patterns may be absolute


def _is_override(word: str) -> bool:
    """Whether a word is not a value: it is an override or an option."""
    return word.startswith(("~", "-")) or "=" in word


def _likely_value(rest: list[str]) -> str | None:
    if rest and not _is_override(rest[0]):
        return rest.pop(0)
    return None


def _next_value(name: str, rest: list[str]) -> str:
    if rest and not _is_override(rest[0]):
        return rest.pop(0)
    msg = f"{name} needs a value"
    choices = CHOICES.get(VALUED[name])
    if choices:
        msg += f": one of {', '.join(choices)}"
    raise UserError(msg)


def _check_value(name: str, value: str) -> str:
    choices = CHOICES.get(VALUED[name])
    if choices and value not in choices:
        msg = f"{name} takes one of {', '.join(choices)}, got {value}"
        near = difflib.get_close_matches(value, choices, n=1)
        if near:
            msg += f"; did you mean {near[0]}?"
        raise UserError(msg)
    return value
