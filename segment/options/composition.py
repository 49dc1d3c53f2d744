"""Composing a command's configuration, and what is wrong with overrides in one sentence."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from hydra import compose, version

# Public functions take one folder only, and --config-dir makes it two.
from hydra._internal.hydra import Hydra
from hydra._internal.utils import create_config_search_path
from hydra.core.global_hydra import GlobalHydra
from hydra.core.object_type import ObjectType
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override
from hydra.errors import HydraException, MissingConfigException
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from segment.configuration import config_dir
from segment.errors import UserError
from segment.options.arguments import Arguments
from segment.options.check import checked, possible_keys, typed, written_keys
from segment.options.nearest import nearest_key, nearest_word


def check_arguments(command: str, arguments: Arguments, required: Sequence[str], example: str) -> None:
    """Compose a command's configuration and check it, with no need of torch.

    Of a sweep every value of every override is tried once, not every combination.

    Args:
        command: Whose configuration it is.
        arguments: The command line.
        required: Keys that have to be given, in the order in which words without a key are taken for them.
        example: How the command is called.

    Raises:
        UserError: With what is wrong and what may have been meant.
    """
    with hydra_of(arguments.of("--config-dir")):
        if arguments.others:
            raise UserError(_other_option(command, *arguments.others[0], example))
        if arguments.words:
            raise UserError(_word(command, arguments.words, required, example))
        parsed = [_parsed(override) for override in arguments.overrides]
        for job in _jobs(parsed) if arguments.has("-m", "--multirun") else [arguments.overrides]:
            checked(command, composed(command, job), spellings(job))


def composed(command: str, overrides: Sequence[str]) -> DictConfig:
    """The configuration of a command, within `hydra_of` or a command that runs.

    Raises:
        UserError: As `check_arguments`.
    """
    try:
        return compose(command, list(overrides))
    except (HydraException, OmegaConfBaseException, ValueError) as error:
        raise explained(error, command, overrides) from error


@contextmanager
def hydra_of(folder: str | None) -> Iterator[None]:
    """Hydra as a command has it, for composing before it runs.

    Raises:
        UserError: When there is no such folder.
    """
    if folder is not None and not Path(folder).is_dir():
        msg = (
            f"--config-dir={folder} is no folder; name one that holds groups of configuration, e.g. <folder>/model/net/"
        )
        raise UserError(msg)
    version.setbase("1.3")
    search_path = create_config_search_path(config_dir())
    if folder is not None:
        search_path.prepend("command-line", f"file://{Path(folder).resolve()}")
    Hydra.create_main_hydra2("segment", search_path)
    try:
        yield
    finally:
        GlobalHydra.instance().clear()


def spellings(overrides: Sequence[str]) -> dict[str, str]:
    """How the command line wrote the value of each key, without quotes around it."""
    pairs = (override.lstrip("+~").partition("=") for override in overrides)
    return {key: value.strip().strip("'\"") for key, _, value in pairs if value}


def explained(error: Exception, command: str, overrides: Sequence[str]) -> UserError:
    """What is wrong with the overrides of a command, in a sentence, and what may have been meant.

    Args:
        error: What Hydra or OmegaConf raised when it composed the configuration.
        command: Whose configuration it is.
        overrides: All that were given.
    """
    for override in overrides:
        try:
            sentence = _wrong(_parsed(override), command, error)
        except UserError as unread:
            return unread
        if sentence is not None:
            return UserError(sentence)
    return UserError(one_line(error))


def not_composed(error: HydraException, command: str, arguments: Arguments) -> UserError:
    """As `explained`, when Hydra itself has ended."""
    with hydra_of(arguments.of("--config-dir")):
        return explained(error, command, arguments.rest)


def one_line(error: Exception) -> str:
    """What Hydra or OmegaConf says of an error, without where it has looked."""
    lines = [line.strip() for line in str(error).split("Config search path:")[0].splitlines()]
    return " ".join(line for line in lines if line and not line.startswith(("full_key:", "object_type=")))


def _parsed(override: str) -> Override:
    try:
        loader = GlobalHydra.instance().config_loader()
        return OverridesParser.create(config_loader=loader).parse_override(override)
    except HydraException as error:
        what = str(error).splitlines()[0]
        msg = f"cannot read the override {override!r} ({what}); quote special characters: 'key=\"value\"'"
        raise UserError(msg) from error


def _jobs(parsed: Sequence[Override]) -> Iterator[list[str]]:
    """Overrides of a few jobs of a sweep, among them every value; of no sweep the one job."""
    values = [list(_values(override)) for override in parsed]
    first = [each[0] for each in values]
    yield first
    for index, each in enumerate(values):
        for value in each[1:]:
            yield [*first[:index], value, *first[index + 1 :]]


def _values(override: Override) -> Iterator[str]:
    if override.is_discrete_sweep():
        yield from (f"{override.get_key_element()}={value}" for value in override.sweep_string_iterator())
    else:
        yield str(override.input_line)


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
    if key.startswith("data.sources.") and source[2] in _options("data") and "data" in compose(command):
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


def _other_option(command: str, name: str, value: str | None, example: str) -> str:
    """How to write an option that Hydra does not have, such as `--epochs 5`."""
    key = name.lstrip("-").replace("-", "_")
    near = _nearest(key, command)
    written = f"{name} {value or ''}".strip()
    if near is None:
        return f"there is no option {written}; options are written key=value, e.g. {example}"
    return f"options are written key=value: instead of {written} write {near}={value or '…'}"


def _word(command: str, words: Sequence[str], required: Sequence[str], example: str) -> str:
    """How to write words that stand alone, such as `segment predict best.ckpt scans masks`."""
    if 0 < len(words) <= len(required):
        meant = " ".join(f"{key}={word}" for key, word in zip(required, words, strict=False))
        return f"options are written key=value: instead of {' '.join(words)} write {meant}"
    group = next((group for group in _groups() if words[0] in _options(group)), None)
    meant = f"did you mean {group}={words[0]}?" if group else f"options are written so, e.g. {example}"
    return f"{words[0]} is no key=value; {meant}"


def _options(group: str) -> list[str]:
    """Choices of a group of configuration; empty if there is no such group."""
    return list(GlobalHydra.instance().config_loader().get_group_options(group))


def _groups(parent: str = "") -> Iterator[str]:
    for name in GlobalHydra.instance().config_loader().get_group_options(parent, ObjectType.GROUP):
        group = f"{parent}/{name}" if parent else name
        if not group.startswith("hydra"):
            yield group
            yield from _groups(group)
