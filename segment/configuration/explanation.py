"""What is wrong with a command line, in one sentence, and what may have been meant; within `hydra_of`."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from hydra import compose
from hydra.core.global_hydra import GlobalHydra
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override
from hydra.errors import HydraException, MissingConfigException
from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException

from segment.configuration.check import typed
from segment.configuration.groups import chosen_files, file_texts, groups_of
from segment.configuration.keys import possible_keys, written_keys
from segment.configuration.nearest import nearest_key, nearest_word
from segment.configuration.values import config_dir
from segment.errors import UserError


def explained(error: Exception, command: str, overrides: Sequence[str]) -> UserError:
    """What is wrong with the overrides of a command, in a sentence, and what may have been meant.

    Args:
        error: What Hydra or OmegaConf raised when it composed the configuration.
        command: Whose configuration it is.
        overrides: All that were given.
    """
    for index, override in enumerate(overrides):
        try:
            sentence = _wrong(parsed(override), command, error, [*overrides[:index], *overrides[index + 1 :]])
        except UserError as unread:
            return unread
        if sentence is not None:
            return UserError(sentence)
    return UserError(one_line(error))


def other_option(command: str, name: str, value: str | None, example: str) -> str:
    """How to write an option that Hydra does not have, such as `--epochs 5`."""
    key = name.lstrip("-").replace("-", "_")
    near = nearest_key(key, [*written_keys(_written(command, ())), *_groups(command)])
    given = f"{name} {value or ''}".strip()
    if near is None:
        return f"there is no option {given}; options are written key=value, e.g. {example}"
    return f"options are written key=value: instead of {given} write {near}={value or '…'}"


def lone_words(command: str, words: Sequence[str], required: Sequence[str], example: str) -> str:
    """How to write words that stand alone, such as `segment predict best.ckpt scans masks`."""
    if 0 < len(words) <= len(required):
        meant = " ".join(f"{key}={word}" for key, word in zip(required, words, strict=False))
        return f"options are written key=value: instead of {' '.join(words)} write {meant}"
    group = next((group for group in _groups(command) if words[0] in options_of(group)), None)
    meant = f"did you mean {group}={words[0]}?" if group else f"options are written so, e.g. {example}"
    return f"{words[0] or 'an empty word'} is no key=value; {meant}"


def one_line(error: Exception) -> str:
    """What Hydra or OmegaConf says of an error, without where it has looked."""
    lines = [line.strip() for line in str(error).split("Config search path:")[0].splitlines()]
    return " ".join(line for line in lines if line and not line.startswith(("full_key:", "object_type=")))


def parsed(override: str) -> Override:
    """An override as Hydra reads it, within `hydra_of`.

    Raises:
        UserError: When Hydra cannot read it.
    """
    try:
        loader = GlobalHydra.instance().config_loader()
        return OverridesParser.create(config_loader=loader).parse_overrides([override])[0]
    except HydraException as error:
        what = str(error.__cause__ or error).splitlines()[0]
        msg = f"cannot read the override {override!r} ({what}); quote special characters: 'key=\"value\"'"
        raise UserError(msg) from error


def _wrong(override: Override, command: str, error: Exception, others: Sequence[str]) -> str | None:
    """What is wrong with this override, if it is the one that an error is about."""
    key = override.key_or_group
    value = str(override.input_line).partition("=")[2]
    if (options := options_of(key)) and (key in _groups(command) or key.startswith("hydra/")):
        return _wrong_choice(override, options, error)
    if str(error).startswith("Ambiguous value") and f"'{override.input_line}'" in str(error):
        return f"{key}={value} holds several values; add -m to run once for each, or write {key}=[{value}] for a list"
    if f"'{key}'" not in str(error) or not str(error).startswith("Could not"):
        return None
    if override.is_add():
        return f"{key} is set already; write {key}={value} without the +"
    return _unknown(override, command, value, others)


def _wrong_choice(override: Override, options: Sequence[str], error: Exception) -> str | None:
    """What is wrong with the choice of a group."""
    group, value = override.key_or_group, str(override.input_line).partition("=")[2]
    if override.is_delete():
        return f"{group} cannot be removed; choose one of {', '.join(options)}"
    if override.is_add() or override.is_force_add():
        return f"{group} has a choice already; write {group}={value} without the +"
    if not isinstance(override.value(), str | list):
        return f"{group} takes the name of a choice, not {value}: one of {', '.join(options)}"
    chosen = override.value() if isinstance(override.value(), list) else [override.value()]
    absent = [str(name) for name in chosen if str(name) not in options]  # type: ignore[union-attr]
    if not isinstance(error, MissingConfigException) or not absent:
        return None
    near = nearest_word(absent[0], options)
    hint = f"did you mean {near}? There are" if near else "there are"
    return f"there is no {group}={absent[0]}; {hint} {', '.join(options)}"


def _unknown(override: Override, command: str, value: str, others: Sequence[str]) -> str:
    """What a key that the configuration does not hold may have been meant for."""
    key, name = override.key_or_group, override.key_or_group.replace("/", ".")
    written = _written(command, others)
    source = key.split(".")[:3]
    chosen = written.get("data", {}).get("sources", {})
    if (
        key.startswith("data.sources.")
        and "data" in written
        and source[2] in options_of("data")
        and source[2] not in chosen
    ):
        return f"{key} belongs to the data set {source[2]}, which is not chosen; add data={source[2]}"
    if not override.is_delete() and _can_be_added(command, others, str(override.input_line)):
        return f"{key} is not set in conf/; to add it, write +{key}={value}"
    groups = {group.replace("/", "."): group for group in _groups(command)}
    group = groups.get(nearest_key(name, groups) or "")
    if group and (value in options_of(group) or nearest_key(name, written_keys(written)) is None):
        near: str | None = group
    else:
        near = nearest_key(key, written_keys(written)) or nearest_key(key, possible_keys(written))
    if near is None:
        inner = "; options of its trainings go into overrides='[\"key=value\"]'" if command == "sweep" else ""
        return f"there is no option {key}; `segment {command} --help` lists them{inner}"
    meant = f"~{near}" if override.is_delete() else f"{near}={value}"
    return f"there is no option {key}; did you mean {meant}?"


def _can_be_added(command: str, others: Sequence[str], override: str) -> bool:
    try:
        typed(command, compose(command, [*others, f"+{override}"]))
    except (UserError, HydraException, OmegaConfBaseException):
        return False
    return True


def _written(command: str, others: Sequence[str]) -> dict[str, Any]:
    """A command's configuration with the other overrides, or without any if these are wrong, too."""
    try:
        cfg = compose(command, list(others))
    except (HydraException, OmegaConfBaseException, ValueError):
        cfg = compose(command)
    return OmegaConf.to_container(cfg, resolve=False)  # type: ignore[return-value]


def options_of(group: str) -> list[str]:
    """Choices of a group of configuration; empty if there is no such group."""
    return list(GlobalHydra.instance().config_loader().get_group_options(group))


def _groups(command: str) -> list[str]:
    """Groups that a command chooses from."""
    return groups_of(file_texts(chosen_files(command), [Path(config_dir())]))
