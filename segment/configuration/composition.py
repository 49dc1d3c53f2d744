"""Composing a command's configuration, and what is wrong with overrides in one sentence."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import islice
from pathlib import Path

from hydra import compose, version

# Public functions take one folder only, and --config-dir makes it two.
from hydra._internal.hydra import Hydra
from hydra._internal.utils import create_config_search_path
from hydra.core.global_hydra import GlobalHydra
from hydra.core.override_parser.types import Override
from hydra.errors import HydraException
from omegaconf import DictConfig
from omegaconf.errors import OmegaConfBaseException

from segment.configuration.arguments import Arguments
from segment.configuration.check import checked
from segment.configuration.explanation import explained, lone_words, other_option, parsed
from segment.configuration.values import config_dir
from segment.errors import UserError

MOST_JOBS = 20  # of a sweep that are checked before the first one runs; each takes a fraction of a second


def check_arguments(command: str, arguments: Arguments, required: Sequence[str], example: str) -> None:
    """Compose a command's configuration and check it, with no need of torch.

    Of a sweep every value of every override is tried once, not every combination, and of many values the first: every
    job is checked again before it runs.

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
            raise UserError(other_option(command, *arguments.others[0], example))
        if arguments.words:
            raise UserError(lone_words(command, arguments.words, required, example))
        read = [parsed(override) for override in arguments.overrides]
        is_sweep = arguments.has("-m", "--multirun")
        for job in islice(_jobs(read), MOST_JOBS) if is_sweep else [arguments.overrides]:
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


def not_composed(error: HydraException, command: str, arguments: Arguments) -> UserError:
    """As `explained`, when Hydra itself has ended."""
    with hydra_of(arguments.of("--config-dir")):
        return explained(error, command, arguments.rest)


def _jobs(read: Sequence[Override]) -> Iterator[list[str]]:
    """Overrides of a few jobs of a sweep, among them every value; of no sweep the one job."""
    values = [list(_values(override)) for override in read]
    first = [each[0] for each in values]
    yield first
    for index, each in enumerate(values):
        for value in each[1:]:
            yield [*first[:index], value, *first[index + 1 :]]


def _values(override: Override) -> Iterator[str]:
    if override.is_interval_sweep():
        msg = f"{override.input_line} is a range to search in; `segment sweep` searches, -m takes choices"
        raise UserError(msg)
    if override.is_discrete_sweep():
        yield from (f"{override.get_key_element()}={value}" for value in override.sweep_string_iterator())
    else:
        yield str(override.input_line)
