"""What is refused before the first trial."""

from collections.abc import Iterable

from segment.errors import UserError

# What a search sets for every trial, and where the user sets it.
TAKEN = {
    "seed": "seed= of the sweep",
    "resume": "resume= of the sweep",
    "output_dir": "output_dir= of the sweep",
    "hydra.run.dir": "hydra.run.dir= of the sweep",
    "hydra.searchpath": "--config-dir of the sweep",
    "logger.wandb.group": "hydra.run.dir= of the sweep, whose last name ends the group's",
}


def check_budget(trials: int | None, hours: float | None) -> None:
    """Refuse a search that would never end.

    Raises:
        UserError: When neither trials nor hours are limited.
    """
    if trials is None and hours is None:
        msg = "trials and hours are both null, so the search would never end; give one of them"
        raise UserError(msg)


def check_free(arguments: Iterable[str]) -> None:
    """Refuse arguments and keys that a search sets itself.

    Raises:
        UserError: With the first one.
    """
    for argument in arguments:
        key = argument.partition("=")[0].lstrip("+~")
        if key in TAKEN:
            msg = f"{argument} is for the search to set; use {TAKEN[key]}"
            raise UserError(msg)
