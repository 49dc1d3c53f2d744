"""How a command runs as a Hydra application and how its errors end."""

import functools
import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NoReturn

import hydra
from hydra.core.hydra_config import HydraConfig
from hydra.errors import HydraException
from hydra.types import RunMode
from omegaconf.errors import OmegaConfBaseException

from segment.errors import UserError


def config_dir() -> str:
    """Folder of the configuration: beside the package in a checkout, inside it in a wheel."""
    package = Path(__file__).resolve().parent
    inside = package / "conf"
    return str(inside if inside.is_dir() else package.parent / "conf")


def door(config_name: str) -> Callable[[Callable[[Any], Any]], Callable[[], None]]:
    """Make a function of a composed configuration a command.

    What a user has to mend (`UserError`, an unknown override, a missing value) ends in one sentence and exit code 2;
    `HYDRA_FULL_ERROR=1` shows the traceback. Anything else is a bug and shows it always.
    """

    def decorate(task: Callable[[Any], Any]) -> Callable[[], None]:
        def main() -> None:
            verbose = os.environ.get("HYDRA_FULL_ERROR") == "1"
            os.environ["HYDRA_FULL_ERROR"] = "1"  # Hydra then lets exceptions through to here

            @functools.wraps(task)
            def job(cfg: Any) -> Any:  # noqa: ANN401
                try:
                    return task(cfg)
                except Exception as error:
                    # A sweep goes on with its other jobs; Hydra raises this error when they are done.
                    if verbose or HydraConfig.get().mode == RunMode.MULTIRUN:
                        raise
                    _end(error)

            try:
                hydra.main(version_base="1.3", config_path=config_dir(), config_name=config_name)(job)()
            except Exception as error:
                if verbose:
                    raise
                _end(error)

        return main

    return decorate


def _end(error: Exception) -> NoReturn:
    """Print what the user has to mend and exit with 2; raise what is a bug."""
    reason = _user_error(error)
    if reason is None:
        raise error
    print(f"error: {reason}", file=sys.stderr)
    sys.exit(2)


def _user_error(error: BaseException) -> str | None:
    for cause in _chain(error):
        if isinstance(cause, UserError):
            return str(cause)
    if isinstance(error, HydraException | OmegaConfBaseException):
        lines = [line.strip() for line in str(error).splitlines() if line.strip()]
        return " ".join(line for line in lines if not line.startswith(("full_key:", "object_type=")))
    return None


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__
