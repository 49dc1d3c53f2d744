"""Explain an error in a command line in one sentence, with what was probably meant.

Call these functions within `initialized_hydra`.
"""

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

from segment.configuration.conversion import convert_types
from segment.configuration.groups import chosen_files, file_texts, groups_of
from segment.configuration.keys import possible_keys, written_keys
from segment.configuration.nearest import nearest_key, nearest_word
from segment.configuration.values import config_dir
from segment.errors import UserError


def explain_error(error: Exception, command: str, overrides: Sequence[str]) -> UserError:
    """Return an error that explains what is wrong with the overrides of a command.

    Args:
        error: What Hydra or OmegaConf raised while it composed the configuration.
        command: Name of the command.
        overrides: All overrides of the command line.
    """
    for index, override in enumerate(overrides):
        others = [*overrides[:index], *overrides[index + 1 :]]
        try:
            sentence = _problem(parse_override(override), command, error, others)
        except UserError as unreadable:
            return unreadable
        if sentence is not None:
            return UserError(sentence)
    return UserError(one_line(error))


def explain_unknown_option(command: str, name: str, value: str | None, example: str) -> str:
    """Return how to write an option that Hydra does not have, for example `--epochs 5`."""
    key = name.lstrip("-").replace("-", "_")
    near = nearest_key(key, [*written_keys(_unresolved(command, ())), *_groups(command)])
    given = f"{name} {value or ''}".strip()
    if near is None:
        return f"there is no option {given}; options are written key=value, e.g. {example}"
    return f"options are written key=value: instead of {given} write {near}={value or '…'}"


def explain_positional(command: str, words: Sequence[str], required: Sequence[str], example: str) -> str:
    """Return how to write words without a key, for example `segment predict best.ckpt scans masks`."""
    keys = ("ckpt", *required) if words[0].endswith(".ckpt") and "ckpt" not in required else required
    if 0 < len(words) <= len(keys):
        meant = " ".join(f"{key}={word}" for key, word in zip(keys, words, strict=False))
        return f"options are written key=value: instead of {' '.join(words)} write {meant}"
    hint = f"write for example: {example}"
    for group in _groups(command):
        if words[0] in group_options(group):
            hint = f"did you mean {group}={words[0]}?"
            break
    return f"{words[0] or 'an empty argument'} is not of the form key=value; {hint}"


def one_line(error: Exception) -> str:
    """Return the message of Hydra or OmegaConf as one line, without the search path and internal names."""
    lines = [line.strip() for line in str(error).split("Config search path:")[0].splitlines()]
    return " ".join(line for line in lines if line and not line.startswith(("full_key:", "object_type=")))


def parse_override(override: str) -> Override:
    """Parse an override with Hydra's parser.

    Raises:
        UserError: When Hydra cannot parse it.
    """
    try:
        loader = GlobalHydra.instance().config_loader()
        return OverridesParser.create(config_loader=loader).parse_overrides([override])[0]
    except HydraException as error:
        what = str(error.__cause__ or error).splitlines()[0]
        msg = f"cannot read the override {override!r} ({what}); quote special characters: 'key=\"value\"'"
        raise UserError(msg) from error


def group_options(group: str) -> list[str]:
    """Return the options of a configuration group; empty if there is no such group."""
    return list(GlobalHydra.instance().config_loader().get_group_options(group))


def _problem(override: Override, command: str, error: Exception, others: Sequence[str]) -> str | None:
    """Return what is wrong with an override; None when the error is about another one."""
    key = override.key_or_group
    value = _value_text(override)
    options = group_options(key)
    if options and (key in _groups(command) or key.startswith("hydra/")):
        return _choice_problem(override, options, error)
    if str(error).startswith("Ambiguous value") and f"'{override.input_line}'" in str(error):
        return f"{key}={value} holds several values; add -m to run once for each, or write {key}=[{value}] for a list"
    if f"'{key}'" not in str(error) or not str(error).startswith("Could not"):
        return None
    if override.is_add():
        return f"{key} is already set; write {key}={value} without the +"
    return _unknown_key(override, command, others)


def _choice_problem(override: Override, options: Sequence[str], error: Exception) -> str | None:
    """Return what is wrong with an override that chooses options of a group."""
    group, value = override.key_or_group, _value_text(override)
    if override.is_delete():
        return f"{group} cannot be removed; choose one of {', '.join(options)}"
    if override.is_add() or override.is_force_add():
        return f"{group} already has a choice; write {group}={value} without the +"
    if not isinstance(override.value(), str | list):
        return f"{group} takes the name of a choice, not {value}: one of {', '.join(options)}"
    chosen = override.value() if isinstance(override.value(), list) else [override.value()]
    absent = [str(name) for name in chosen if str(name) not in options]  # type: ignore[union-attr]
    if not isinstance(error, MissingConfigException) or not absent:
        return None
    near = nearest_word(absent[0], options)
    hint = f"did you mean {near}? The choices are" if near else "choose one of"
    return f"there is no {group}={absent[0]}; {hint} {', '.join(options)}"


def _unknown_key(override: Override, command: str, others: Sequence[str]) -> str:
    """Return what was probably meant by a key that the configuration does not hold."""
    key, value = override.key_or_group, _value_text(override)
    config = _unresolved(command, others)
    source = _source_not_chosen(key, config)
    if source is not None:
        return f"{key} belongs to the data set {source}, which is not chosen; add data={source}"
    if not override.is_delete() and _can_be_added(command, others, str(override.input_line)):
        return f"{key} is not set in conf/; to add it, write +{key}={value}"
    if command == "view" and key.split(".")[0] == "data":
        return f"segment view shows finished folders; for a data set, segment doctor {key}={value} writes the page"
    near = _nearest_option(key, value, command, config)
    if near is None:
        sentence = f"there is no option {key}; `segment {command} --help` lists them"
        if command == "sweep":
            sentence += "; put options of the training runs into overrides='[\"key=value\"]'"
        return sentence
    meant = f"~{near}" if override.is_delete() else f"{near}={value}"
    return f"there is no option {key}; did you mean {meant}?"


def _source_not_chosen(key: str, config: dict[str, Any]) -> str | None:
    """Return the data set that a key belongs to (`data.sources.<name>.…`), if it exists but is not chosen."""
    if not key.startswith("data.sources.") or "data" not in config:
        return None
    name = key.split(".")[2]
    is_chosen = name in config["data"].get("sources", {})
    if is_chosen or name not in group_options("data"):
        return None
    return name


def _nearest_option(key: str, value: str, command: str, config: dict[str, Any]) -> str | None:
    """Return the group or key that was probably meant; None if none is similar."""
    groups = {group.replace("/", "."): group for group in _groups(command)}
    name = key.replace("/", ".")
    group = groups.get(nearest_key(name, groups) or "")
    if group and (value in group_options(group) or nearest_key(name, written_keys(config)) is None):
        return group
    return nearest_key(key, written_keys(config)) or nearest_key(key, possible_keys(config))


def _value_text(override: Override) -> str:
    """Return the value of an override as the command line wrote it."""
    return str(override.input_line).partition("=")[2]


def _can_be_added(command: str, others: Sequence[str], override: str) -> bool:
    try:
        convert_types(command, compose(command, [*others, f"+{override}"]))
    except (UserError, HydraException, OmegaConfBaseException):
        return False
    return True


def _unresolved(command: str, overrides: Sequence[str]) -> dict[str, Any]:
    """Return a command's configuration with its references; without the overrides if these are wrong too."""
    try:
        cfg = compose(command, list(overrides))
    except (HydraException, OmegaConfBaseException, ValueError):
        cfg = compose(command)
    return OmegaConf.to_container(cfg, resolve=False)  # type: ignore[return-value]


def _groups(command: str) -> list[str]:
    """Return the groups that a command chooses from."""
    return groups_of(file_texts(chosen_files(command), [Path(config_dir())]))
