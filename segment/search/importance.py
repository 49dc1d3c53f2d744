"""Importance of the parameters of a search."""

import warnings
from collections.abc import Sequence

import optuna
from optuna.importance import PedAnovaImportanceEvaluator, get_param_importances
from optuna.trial import FrozenTrial

from segment.search.options import Direction
from segment.search.trials_table import finished

MIN_TRIALS = 4  # finished trials; fewer show nothing
MIN_BEST = 5  # size of the group of best trials, as the documentation of the method advises


def importance(trials: Sequence[FrozenTrial], direction: Direction) -> dict[str, float]:
    """Share of each parameter in the difference between the best trials and the others, the largest first.

    The shares add up to 1. The best trials are a tenth of the finished ones, but at least five, and at most half.
    Parameters with a single value are left out. The method is PED-ANOVA (Watanabe et al. 2023, arXiv 2304.10255).

    Returns:
        Empty when fewer than four trials have finished, or all have the same value.
    """
    done = finished(trials)
    if len(done) < MIN_TRIALS or len({trial.value for trial in done}) == 1:
        return {}
    names = [name for name, distribution in done[0].distributions.items() if not distribution.single()]
    if not names:
        return {}
    share = min(max(0.1, MIN_BEST / len(done)), 0.5)
    study = optuna.create_study(direction=direction)
    study.add_trials(done)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Optuna warns when there are few trials
        return get_param_importances(study, evaluator=PedAnovaImportanceEvaluator(target_quantile=share), params=names)
