"""The internal parts of wandb that this package uses, in one place.

wandb has no public way to do these things. When you upgrade it, check this file.
"""

from typing import Any

# By default wandb records facts about the machine. Settings whose names start with `x_` are experimental.
NO_MACHINE_FACTS = {"x_disable_meta": True, "x_disable_stats": True}


def keep_as_file(table: Any, run: Any, key: str, step: int) -> None:  # noqa: ANN401
    """Make a table a file of a run, before it is logged.

    Otherwise wandb also uploads it as an artifact, and the record of the artifact contains a path of this machine.
    """
    table.bind_to_run(run, key, step)
