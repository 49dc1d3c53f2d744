"""Compose a command's configuration, and explain errors in its overrides in one sentence."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import islice
from pathlib import Path

from hydra import compose, version
from hydra.core.global_hydra import GlobalHydra
from hydra.core.override_parser.types import Override
from hydra.errors import HydraException
from omegaconf import DictConfig
from omegaconf.errors import OmegaConfBaseException

from segment.configuration.arguments import Arguments
from segment.configuration.check import validate_config
from segment.configuration.explanation import explain_error, explain_positional, explain_unknown_option, parse_override
from segment.configuration.hydra_internals import initialize_with_folders
from segment.configuration.values import config_dir
from segment.errors import UserError

MAX_CHECKED_JOBS = 20  # jobs of a sweep that are checked before the first one runs; each check takes part of a second


def check_arguments(command: str, arguments: Arguments, required: Sequence[str], example: str) -> None:
    """Compose a command's configuration and check it, without importing torch.

    In a sweep (`-m`), this checks each value of each override once, not every combination, and at most the first 20
    jobs. Hydra's jobs check their own configuration again when they run.

    Args:
        command: Name of the command.
        arguments: The parsed command line.
        required: Keys without a default, in the order in which words without a key are assigned to them.
        example: A correct command line, for messages.

    Raises:
        UserError: With what is wrong and what was probably meant.
    """
    with initialized_hydra(arguments.value_of("--config-dir")):
        if arguments.unknown:
            raise UserError(explain_unknown_option(command, *arguments.unknown[0], example))
        if arguments.positional:
            raise UserError(explain_positional(command, arguments.positional, required, example))
        overrides = [parse_override(override) for override in arguments.overrides]
        jobs: Iterator[Sequence[str]] = iter([arguments.overrides])
        if arguments.has("-m", "--multirun"):
            jobs = islice(_sweep_jobs(overrides), MAX_CHECKED_JOBS)
        for job in jobs:
            validate_config(command, compose_config(command, job), spellings(job))


def compose_config(command: str, overrides: Sequence[str]) -> DictConfig:
    """Compose the configuration of a command, within `initialized_hydra` or while a command runs.

    Raises:
        UserError: When an override is wrong.
    """
    try:
        return compose(command, list(overrides))
    except (HydraException, OmegaConfBaseException, ValueError) as error:
        raise explain_error(error, command, overrides) from error


@contextmanager
def initialized_hydra(folder: str | None) -> Iterator[None]:
    """Initialize Hydra as a command does, so that its configuration can be composed before it runs.

    Args:
        folder: Value of `--config-dir`, which is searched before `conf/`; None when it is not given.

    Raises:
        UserError: When the folder does not exist.
    """
    if folder is not None and not Path(folder).is_dir():
        msg = f"--config-dir={folder} is not a folder; name one that holds groups of options, e.g. <folder>/model/net/"
        raise UserError(msg)
    version.setbase("1.3")
    initialize_with_folders(config_dir(), [] if folder is None else [str(Path(folder).resolve())])
    try:
        yield
    finally:
        GlobalHydra.instance().clear()


def spellings(overrides: Sequence[str]) -> dict[str, str]:
    """Return the values as the command line wrote them, by key and without quotes: `a=1e3` gives `{"a": "1e3"}`."""
    result = {}
    for override in overrides:
        key, _, value = override.lstrip("+~").partition("=")
        if value:
            result[key] = value.strip().strip("'\"")
    return result


def explain_hydra_error(error: HydraException, command: str, arguments: Arguments) -> UserError:
    """Return the explanation of an error that Hydra raised in its own main function; see `explain_error`."""
    with initialized_hydra(arguments.value_of("--config-dir")):
        return explain_error(error, command, arguments.rest)


def _sweep_jobs(overrides: Sequence[Override]) -> Iterator[list[str]]:
    """Yield the overrides of enough jobs of a sweep that every value occurs in one of them.

    For example, `a=1,2 b=3,4` yields `a=1 b=3`, `a=2 b=3` and `a=1 b=4`.
    """
    choices = [list(_choices(override)) for override in overrides]
    first = [values[0] for values in choices]
    yield first
    for index, values in enumerate(choices):
        for value in values[1:]:
            yield [*first[:index], value, *first[index + 1 :]]


def _choices(override: Override) -> Iterator[str]:
    """Yield an override for each of the values that it sweeps over."""
    if override.is_interval_sweep():
        msg = f"{override.input_line} is a range to search, which only `segment sweep` can do; -m takes choices"
        raise UserError(msg)
    if override.is_discrete_sweep():
        for value in override.sweep_string_iterator():
            yield f"{override.get_key_element()}={value}"
    else:
        yield str(override.input_line)
