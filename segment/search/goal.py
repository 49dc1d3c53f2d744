"""What a search looks for."""

from typing import Literal

from segment.errors import UserError

Direction = Literal["maximize", "minimize"]

# As Optuna and as Lightning's checkpoints call them.
DIRECTIONS: dict[str, Direction] = {
    "maximize": "maximize",
    "minimize": "minimize",
    "max": "maximize",
    "min": "minimize",
}


def read_direction(monitor: str, direction: str | None, chosen_by: str | None, mode: str | None) -> Direction:
    """Which values of a metric are the better ones.

    Args:
        monitor: The metric to be searched for.
        direction: maximize or minimize, max or min; None: as the best checkpoint.
        chosen_by: The metric by which trainings choose their best checkpoint; None if they keep none.
        mode: max or min of that one.

    Raises:
        UserError: When the metric is one of the test, or neither argument tells its direction.
    """
    if monitor.startswith("test/"):
        msg = f"monitor={monitor} would choose by the test set; choose a score of the validation, e.g. val/dice/mean"
        raise UserError(msg)
    if direction is None and monitor != chosen_by:
        msg = f"monitor={monitor} does not show whether more is better; give direction=maximize or direction=minimize"
        raise UserError(msg)
    given = direction or mode
    if given not in DIRECTIONS:
        msg = f"direction must be maximize or minimize, got {given!r}"
        raise UserError(msg)
    return DIRECTIONS[given]
