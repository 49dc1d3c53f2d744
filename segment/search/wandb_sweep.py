"""Write a search as a sweep of Weights & Biases, to be run by its agents."""

from collections.abc import Sequence
from typing import Any

from optuna.distributions import BaseDistribution, FloatDistribution, IntDistribution

from segment.search.space import Space, values


def wandb_sweep(
    space: Space, overrides: Sequence[str], monitor: str, direction: str, limit: int | None
) -> dict[str, Any]:
    """Configuration for `wandb sweep <file>`, for agents that call `segment train key=value ...`.

    Args:
        space: The search space.
        overrides: Arguments of every training.
        monitor: The metric that the search optimises.
        direction: maximize or minimize.
        limit: Number of trainings; None: unlimited.
    """
    config: dict[str, Any] = {
        "program": "segment",
        "method": "bayes",
        "metric": {"name": monitor, "goal": direction},
    }
    if limit is not None:
        config["run_cap"] = limit
    config["parameters"] = {key: _parameter(distribution) for key, distribution in space.items()}
    config["command"] = ["${env}", "${program}", "train", *overrides, "${args_no_hyphens}"]
    return config


def _parameter(distribution: BaseDistribution) -> dict[str, Any]:
    if isinstance(distribution, FloatDistribution) and distribution.step is None:
        kind = "log_uniform_values" if distribution.log else "uniform"
        return {"distribution": kind, "min": distribution.low, "max": distribution.high}
    if isinstance(distribution, IntDistribution) and distribution.log:
        # W&B has no log-uniform integers; it can only round to a multiple of q.
        return {"distribution": "q_log_uniform_values", "q": 1, "min": distribution.low, "max": distribution.high}
    return {"values": ["null" if value is None else value for value in values(distribution)]}
