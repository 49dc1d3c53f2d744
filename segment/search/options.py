"""Options of a search that are checked before the first trial: metric, direction, budget, reserved keys."""

from collections.abc import Iterable
from typing import Literal

from segment.configuration.roles import role
from segment.configuration.values import override_key
from segment.errors import UserError

Direction = Literal["maximize", "minimize"]

# The names that Optuna and Lightning's checkpoint callback use.
DIRECTIONS: dict[str, Direction] = {
    "maximize": "maximize",
    "minimize": "minimize",
    "max": "maximize",
    "min": "minimize",
}


def read_direction(monitor: str, direction: str | None, checkpoint_monitor: str | None, mode: str | None) -> Direction:
    """Whether larger or smaller values of a metric are better.

    Args:
        monitor: The metric that the search optimises.
        direction: maximize or minimize, max or min; None: use `mode`, if `checkpoint_monitor` is the same metric.
        checkpoint_monitor: The metric that selects the best checkpoint of a training; None if no metric selects it.
        mode: max or min, the direction of `checkpoint_monitor`.

    Raises:
        UserError: When the metric is a test score, or its direction is missing or unknown.
    """
    if monitor.startswith("test/"):
        msg = f"monitor={monitor} would select trials by the test set; choose a validation score, e.g. val/dice/mean"
        raise UserError(msg)
    if direction is None and monitor != checkpoint_monitor:
        msg = f"monitor={monitor} does not show whether more is better; give direction=maximize or direction=minimize"
        raise UserError(msg)
    given = direction or mode
    if given not in DIRECTIONS:
        msg = f"direction must be maximize or minimize, got {given!r}"
        raise UserError(msg)
    return DIRECTIONS[given]


def check_budget(trials: int | None, hours: float | None) -> None:
    """Refuse a search that would never end.

    Raises:
        UserError: When neither the number of trials nor the hours are limited.
    """
    if trials is None and hours is None:
        msg = "trials and hours are both null, so the search would never end; give one of them"
        raise UserError(msg)


def check_not_reserved(arguments: Iterable[str]) -> None:
    """Refuse overrides and keys that a search sets itself, e.g. `seed=3`.

    Raises:
        UserError: When there is one; the message names the first.
    """
    for argument in arguments:
        key = override_key(argument)
        instead = role(key).set_by_search
        if instead:
            msg = f"the search sets {key} for every trial; instead of {argument} use {instead}"
            raise UserError(msg)
