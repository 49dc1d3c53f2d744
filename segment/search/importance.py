"""Which parameters matter."""

import warnings
from collections.abc import Sequence

import optuna
from optuna.importance import PedAnovaImportanceEvaluator, get_param_importances
from optuna.trial import FrozenTrial, TrialState

from segment.search.goal import Direction

ENOUGH = 4  # finished trials; fewer say nothing
BEST = 5  # trials, at least, whose parameters are set against the others', as the method's documentation advises


def importance(trials: Sequence[FrozenTrial], direction: Direction) -> dict[str, float]:
    """Share of each parameter in what parts the best trials from the others, the largest first; they add up to 1.

    The best are a tenth of the finished trials, but at least five, or half of fewer than ten. Parameters that have only
    one value are left out. The method is PED-ANOVA (Watanabe et al. 2023, arXiv 2304.10255).

    Returns:
        Empty when fewer than four trials have finished, or no trial is better than another.
    """
    done = [trial for trial in trials if trial.state == TrialState.COMPLETE]
    names = [name for name, distribution in done[0].distributions.items() if not distribution.single()] if done else []
    if len(done) < ENOUGH or len({trial.value for trial in done}) == 1 or not names:
        return {}
    share = min(max(0.1, BEST / len(done)), 0.5)
    study = optuna.create_study(direction=direction)
    study.add_trials(done)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that the trials are few
        return get_param_importances(study, evaluator=PedAnovaImportanceEvaluator(target_quantile=share), params=names)
