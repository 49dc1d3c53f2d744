"""The cases of the data sets that a configuration names."""

from contextlib import suppress

from omegaconf import DictConfig

from segment.configuration.instantiate import instantiate
from segment.datasets.cases import Case, Refused, Source, list_cases, list_usable_cases
from segment.errors import UserError
from segment.io.left_out import LeftOut


def cases(data: DictConfig) -> list[Case]:
    """List the cases of all sources of a `data` node, without those in `data.exclude`."""
    return list_cases(_sources(data), data.get("exclude") or ())


def usable_cases(data: DictConfig) -> tuple[list[Case], Refused]:
    """Like `cases`, but list unusable cases and sources with their reasons instead of raising an error."""
    return list_usable_cases(_sources(data), data.get("exclude") or ())


def left_out(data: DictConfig) -> dict[str, list[LeftOut]]:
    """List the files that belong to no case, by source; sources that cannot be listed are missing."""
    found = {}
    for name, source in _sources(data).items():
        with suppress(UserError):  # `usable_cases` reports it
            found[name] = source.left_out(source.cases(name, []))
    return found


def _sources(data: DictConfig) -> dict[str, Source]:
    return {str(name): instantiate(node) for name, node in data.sources.items()}
