"""Which configuration to try next."""

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import optuna
from optuna.pruners import BasePruner
from optuna.samplers import BaseSampler, RandomSampler
from optuna.trial import FrozenTrial, TrialState, create_trial

from segment.search.goal import Direction
from segment.search.space import Space, configurations, count

STUDY = "sweep"  # Hyperband deals its brackets by name and number
ATTEMPTS = 10  # of a sampler to find what was not tried yet
ENUMERABLE = 100_000  # configurations; in larger spaces one at random is new


@dataclass(frozen=True)
class Method:
    """How a search goes.

    Attributes:
        space: What it may change.
        direction: maximize or minimize.
        make_sampler: Makes the sampler of one trial; called with `seed`.
        pruner: Says which trials are hopeless.
        seed: Decides, with the trials so far, which comes next.
    """

    space: Space
    direction: Direction
    make_sampler: Callable[..., BaseSampler]
    pruner: BasePruner
    seed: int


def propose(trials: Sequence[FrozenTrial], method: Method) -> FrozenTrial | None:
    """The next trial, not yet in any study; None when every configuration has been tried.

    It hangs on `trials` and the seed alone, so that a search which was killed and resumed goes on as if never stopped.
    A configuration comes once, whatever became of it: the same again would give the same, and a crash again a crash.
    """
    tried = {_key(trial.params) for trial in trials}
    for attempt in range(ATTEMPTS):
        trial = _ask(trials, method, attempt)
        if _key(trial.params) not in tried:
            return trial
    if count(method.space) > ENUMERABLE:
        return _ask(trials, replace(method, make_sampler=RandomSampler), ATTEMPTS)
    untried = [params for params in configurations(method.space) if _key(params) not in tried]
    if not untried:
        return None
    return _running(random.Random(_seed(method.seed, len(trials), ATTEMPTS)).choice(untried), method, {})


def _ask(trials: Sequence[FrozenTrial], method: Method, attempt: int) -> FrozenTrial:
    """Ask a study in memory: nothing is recorded, and what is proposed can be recorded at once, as a whole."""
    sampler = method.make_sampler(seed=_seed(method.seed, len(trials), attempt))
    study = optuna.create_study(study_name=STUDY, direction=method.direction, sampler=sampler, pruner=method.pruner)
    study.add_trials(trials)
    number = study.ask(dict(method.space)).number
    asked = study.get_trials()[number]
    return _running(asked.params, method, asked.system_attrs)


def _running(params: dict[str, Any], method: Method, system_attrs: dict[str, Any]) -> FrozenTrial:
    return create_trial(
        state=TrialState.RUNNING, params=params, distributions=dict(method.space), system_attrs=system_attrs
    )


def _seed(*words: int) -> int:
    return int(np.random.SeedSequence(words).generate_state(1)[0])


def _key(params: dict[str, Any]) -> tuple[tuple[str, str], ...]:
    """Parameters as what can be compared; numbers that differ by rounding are the same."""
    return tuple((k, f"{v:.10g}" if type(v) is float else repr(v)) for k, v in sorted(params.items()))
