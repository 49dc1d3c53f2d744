"""The same search for those who prefer the agents of Weights & Biases."""

from collections.abc import Sequence
from typing import Any

from optuna.distributions import BaseDistribution, FloatDistribution, IntDistribution

from segment.search.space import Space, values


def wandb_sweep(
    space: Space, overrides: Sequence[str], monitor: str, direction: str, limit: int | None
) -> dict[str, Any]:
    """The configuration that `wandb sweep <file>` takes; its agents then call `segment train key=value ...`.

    Args:
        space: What to search.
        overrides: Arguments of every training.
        monitor: The metric to be searched for.
        direction: maximize or minimize.
        limit: Number of trainings; None: until an agent is stopped.
    """
    return {
        "program": "segment",
        "method": "bayes",
        "metric": {"name": monitor, "goal": direction},
        **({"run_cap": limit} if limit is not None else {}),
        "parameters": {key: _parameter(distribution) for key, distribution in space.items()},
        "command": ["${env}", "${program}", "train", *overrides, "${args_no_hyphens}"],
    }


def _parameter(distribution: BaseDistribution) -> dict[str, Any]:
    if isinstance(distribution, FloatDistribution) and distribution.step is None:
        kind = "log_uniform_values" if distribution.log else "uniform"
        return {"distribution": kind, "min": distribution.low, "max": distribution.high}
    if isinstance(distribution, IntDistribution) and distribution.log:
        # Of whole numbers on the logarithm there is none but by rounding.
        return {"distribution": "q_log_uniform_values", "q": 1, "min": distribution.low, "max": distribution.high}
    return {"values": ["null" if value is None else value for value in values(distribution)]}
