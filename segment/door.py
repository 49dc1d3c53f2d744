"""How a command runs as a Hydra application and how its errors end."""

import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import hydra
from hydra.errors import HydraException
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
            try:
                hydra.main(version_base="1.3", config_path=config_dir(), config_name=config_name)(task)()
            except Exception as error:
                reason = _user_error(error)
                if reason is None or verbose:
                    raise
                print(f"error: {reason}", file=sys.stderr)
                sys.exit(2)

        return main

    return decorate


def _user_error(error: BaseException) -> str | None:
    """What the user has to mend, if that is what this error says."""
    for cause in _chain(error):
        if isinstance(cause, UserError):
            return str(cause)
    if isinstance(error, HydraException | OmegaConfBaseException):
        lines = [line.strip() for line in str(error).splitlines() if line.strip()]
        kept = [line for line in lines if not line.startswith(("full_key:", "object_type="))]
        return " ".join(kept)
    return None


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__
