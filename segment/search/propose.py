"""Propose the next configuration of a search."""

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import optuna
from optuna.pruners import BasePruner
from optuna.samplers import BaseSampler, RandomSampler
from optuna.trial import FrozenTrial, TrialState, create_trial

from segment.search.options import Direction
from segment.search.space import Space, configurations, count

STUDY = "sweep"  # Hyperband computes a trial's bracket from this name and the trial's number
ATTEMPTS = 10  # how often a sampler is asked for an untried configuration
ENUMERABLE = 100_000  # configurations; in a larger space, a random one is assumed to be untried


@dataclass(frozen=True)
class Method:
    """How a search chooses and prunes trials.

    Attributes:
        space: The search space.
        direction: maximize or minimize.
        make_sampler: Creates the sampler for one trial; called with `seed`.
        pruner: Decides which trials to stop early.
        seed: Together with the trials so far, it determines the next trial.
    """

    space: Space
    direction: Direction
    make_sampler: Callable[..., BaseSampler]
    pruner: BasePruner
    seed: int

    def propose(self, trials: Sequence[FrozenTrial]) -> FrozenTrial | None:
        """The next trial; see `propose`."""
        return propose(trials, self)


def propose(trials: Sequence[FrozenTrial], method: Method) -> FrozenTrial | None:
    """The next trial, not yet recorded in a study; None if every configuration has been tried.

    It depends on `trials` and the seed alone: a search that is killed and resumed proposes the same trials as one that
    was never stopped. Each configuration is proposed once, even if it failed, because a repeat would give the same
    result.
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
    return running(random.Random(_seed(method.seed, len(trials), ATTEMPTS)).choice(untried), method, {})


def _ask(trials: Sequence[FrozenTrial], method: Method, attempt: int) -> FrozenTrial:
    """Ask a study in memory, so that the caller can record the trial and its parameters in one step."""
    sampler = method.make_sampler(seed=_seed(method.seed, len(trials), attempt))
    study = optuna.create_study(study_name=STUDY, direction=method.direction, sampler=sampler, pruner=method.pruner)
    study.add_trials(trials)
    number = study.ask(dict(method.space)).number
    asked = study.get_trials()[number]
    return running(asked.params, method, asked.system_attrs)


def running(params: dict[str, Any], method: Method, system_attrs: dict[str, Any]) -> FrozenTrial:
    """A trial that has begun, not yet recorded in a study."""
    return create_trial(
        state=TrialState.RUNNING, params=params, distributions=dict(method.space), system_attrs=system_attrs
    )


def _seed(*numbers: int) -> int:
    return int(np.random.SeedSequence(numbers).generate_state(1)[0])


def _key(params: dict[str, Any]) -> tuple[tuple[str, str], ...]:
    """Parameters in a form that can be compared; numbers that differ only by rounding are equal."""
    key = []
    for name, value in sorted(params.items()):
        key.append((name, f"{value:.10g}" if type(value) is float else repr(value)))
    return tuple(key)
