from dataclasses import replace

import pytest
from optuna.pruners import HyperbandPruner, NopPruner
from optuna.samplers import GPSampler, RandomSampler, TPESampler
from optuna.trial import TrialState, create_trial

from segment.search.propose import Method, propose
from segment.search.space import read_space

METHOD = Method(read_space({"x": {"low": 0.0, "high": 1}}), "maximize", TPESampler, NopPruner(), seed=3)


def grow(method: Method, length: int, value=lambda params: params["x"]) -> list:
    """Run a search with this many trials, one after another."""
    trials = []
    for _ in range(length):
        asked = propose(trials, method)
        assert asked.state == TrialState.RUNNING
        trials.append(create_trial(params=asked.params, distributions=asked.distributions, value=value(asked.params)))
    return trials


def test_next_trial_depends_only_on_the_trials_and_the_seed():
    trials = grow(METHOD, 13)
    assert propose(trials, METHOD).params == propose(list(trials), replace(METHOD)).params
    assert propose(trials, METHOD).params != propose(trials, replace(METHOD, seed=4)).params
    assert len({trial.params["x"] for trial in trials}) == 13  # each trial has its own random numbers


def test_search_finds_values_close_to_the_best():
    def value(params):
        return -abs(params["x"] - 0.3)

    trials = grow(METHOD, 40, value)
    assert max(value(trial.params) for trial in trials) > -0.01
    late = sorted(abs(trial.params["x"] - 0.3) for trial in trials[20:])
    assert late[10] < 0.15  # half of the later trials are closer; of random ones, half would be closer than 0.27


@pytest.mark.parametrize("direction", ["maximize", "minimize"])
def test_search_follows_the_direction(direction):
    late = [trial.params["x"] for trial in grow(replace(METHOD, direction=direction), 30)[15:]]
    mean = sum(late) / len(late)
    assert mean > 0.7 if direction == "maximize" else mean < 0.3


@pytest.mark.parametrize("state", [TrialState.FAIL, TrialState.RUNNING, TrialState.PRUNED, TrialState.COMPLETE])
def test_no_configuration_is_proposed_twice(state):
    method = replace(METHOD, space=read_space({"a": ["p", "q", "r"], "b": {"low": 0.0, "high": 0.3, "step": 0.1}}))
    trials, values = [], [0.5] if state == TrialState.COMPLETE else None
    while (asked := propose(trials, method)) is not None:
        trials.append(create_trial(state=state, params=asked.params, distributions=asked.distributions, values=values))
    assert len(trials) == len({tuple(trial.params.values()) for trial in trials}) == 12


@pytest.mark.parametrize("sampler", [RandomSampler, GPSampler])
def test_other_samplers_and_pruners_work(sampler):
    method = replace(METHOD, make_sampler=sampler, pruner=HyperbandPruner())
    assert len({trial.params["x"] for trial in grow(method, 12)}) == 12
