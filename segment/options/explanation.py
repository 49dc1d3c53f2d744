"""What is wrong with a command line, in one sentence, and what may have been meant; within `hydra_of`."""

from collections.abc import Iterator, Sequence

from hydra import compose
from hydra.core.global_hydra import GlobalHydra
from hydra.core.object_type import ObjectType
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override
from hydra.errors import HydraException, MissingConfigException
from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException

from segment.errors import UserError
from segment.options.check import possible_keys, typed, written_keys
from segment.options.nearest import nearest_key, nearest_word


def explained(error: Exception, command: str, overrides: Sequence[str]) -> UserError:
    """What is wrong with the overrides of a command, in a sentence, and what may have been meant.

    Args:
        error: What Hydra or OmegaConf raised when it composed the configuration.
        command: Whose configuration it is.
        overrides: All that were given.
    """
    for override in overrides:
        try:
            sentence = _wrong(parsed(override), command, error)
        except UserError as unread:
            return unread
        if sentence is not None:
            return UserError(sentence)
    return UserError(one_line(error))


def other_option(command: str, name: str, value: str | None, example: str) -> str:
    """How to write an option that Hydra does not have, such as `--epochs 5`."""
    key = name.lstrip("-").replace("-", "_")
    near = _nearest(key, command)
    written = f"{name} {value or ''}".strip()
    if near is None:
        return f"there is no option {written}; options are written key=value, e.g. {example}"
    return f"options are written key=value: instead of {written} write {near}={value or '…'}"


def lone_words(command: str, words: Sequence[str], required: Sequence[str], example: str) -> str:
    """How to write words that stand alone, such as `segment predict best.ckpt scans masks`."""
    if 0 < len(words) <= len(required):
        meant = " ".join(f"{key}={word}" for key, word in zip(required, words, strict=False))
        return f"options are written key=value: instead of {' '.join(words)} write {meant}"
    group = next((group for group in _groups() if words[0] in _options(group)), None)
    meant = f"did you mean {group}={words[0]}?" if group else f"options are written so, e.g. {example}"
    return f"{words[0]} is no key=value; {meant}"


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
        return OverridesParser.create(config_loader=loader).parse_override(override)
    except HydraException as error:
        what = str(error).splitlines()[0]
        msg = f"cannot read the override {override!r} ({what}); quote special characters: 'key=\"value\"'"
        raise UserError(msg) from error


def _wrong(override: Override, command: str, error: Exception) -> str | None:
    """What is wrong with this override, if it is the one that an error is about."""
    key = override.key_or_group
    value = str(override.input_line).partition("=")[2]
    options = _options(key)
    if options:
        if override.value() is None and not override.is_delete():
            return f"{key}={value} chooses nothing; choose one of {', '.join(options)}"
        chosen = override.value() if isinstance(override.value(), list) else [override.value()]
        absent = [str(name) for name in chosen if str(name) not in options]  # type: ignore[union-attr]
        if isinstance(error, MissingConfigException) and absent:
            near = nearest_word(absent[0], options)
            hint = f"did you mean {near}? There are" if near else "there are"
            return f"there is no {key}={absent[0]}; {hint} {', '.join(options)}"
    if str(error).startswith("Ambiguous value") and f"'{override.input_line}'" in str(error):
        return f"{key}={value} holds several values; add -m to run once for each, or write {key}=[{value}] for a list"
    if f"'{key}'" in str(error) and str(error).startswith("Could not"):
        return _unknown(override, command, value)
    return None


def _unknown(override: Override, command: str, value: str) -> str:
    """What a key that the configuration does not hold may have been meant for."""
    key = override.key_or_group
    source = key.split(".")[:3]
    if key.startswith("data.sources.") and source[2] in _options("data"):
        return f"{key} belongs to the data set {source[2]}, which is not chosen; add data={source[2]}"
    if not override.is_delete() and _can_be_added(command, str(override.input_line)):
        return f"{key} is not set in conf/; to add it, write +{key}={value}"
    group = nearest_key(key.replace("/", "."), [name.replace("/", ".") for name in _groups()])
    chooses = group is not None and value in _options(group.replace(".", "/"))
    near = group.replace(".", "/") if group and chooses else _nearest(key, command)
    if near is None:
        return f"there is no option {key}; `segment {command} --help` lists them"
    meant = f"~{near}" if override.is_delete() else f"{near}={value}"
    return f"there is no option {key}; did you mean {meant}?"


def _can_be_added(command: str, override: str) -> bool:
    try:
        typed(command, compose(command, [f"+{override}"]))
    except (UserError, HydraException, OmegaConfBaseException):
        return False
    return True


def _nearest(key: str, command: str) -> str | None:
    """The key or group that was meant: one that is set, else one that a constructor would take."""
    written = OmegaConf.to_container(compose(command), resolve=False)
    return nearest_key(key, [*written_keys(written), *_groups()]) or nearest_key(key, possible_keys(written))


def _options(group: str) -> list[str]:
    """Choices of a group of configuration; empty if there is no such group."""
    return list(GlobalHydra.instance().config_loader().get_group_options(group))


def _groups(parent: str = "") -> Iterator[str]:
    for name in GlobalHydra.instance().config_loader().get_group_options(parent, ObjectType.GROUP):
        group = f"{parent}/{name}" if parent else name
        if not group.startswith("hydra"):
            yield group
            yield from _groups(group)
