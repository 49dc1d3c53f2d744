from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context

import pytest
import searches
from optuna.trial import TrialState

from segment.search.study import Search


def test_limit_counts_failed_and_pruned_trials(tmp_path):
    search, other = searches.search(tmp_path), searches.search(tmp_path)
    claims = [each.claim(4, ()) for each in (search, other, search, other)]
    assert [claim.number for claim in claims] == [0, 1, 2, 3]
    assert search.claim(4, ()) is other.claim(4, ()) is None
    search.finish(0, TrialState.FAIL)
    other.finish(1, TrialState.COMPLETE, 0.5)
    search.report(2, 0, 0.25)
    search.finish(2, TrialState.PRUNED)
    for claim in claims[:3]:
        claim.release()
    assert search.claim(4, ()) is None
    assert search.claim(5, ()).number == 4


def test_simultaneous_processes_claim_different_trials(tmp_path):
    searches.search(tmp_path)
    with ProcessPoolExecutor(4, mp_context=get_context("spawn")) as pool:
        numbers = list(pool.map(searches.claim_all, [tmp_path] * 4, [10] * 4, [4] * 4))
    assert sorted(number for each in numbers for number in each) == list(range(10))
    assert sum(bool(each) for each in numbers) > 1  # more than one process claimed trials
    assert len(searches.search(tmp_path).trials()) == 10


def test_trial_of_an_ended_process_keeps_its_number_and_parameters(tmp_path):
    search = searches.search(tmp_path)
    first = search.claim(2, ())
    search.note(0, "seeds", {"0": 0.5})
    search.report(0, 3, 0.5)
    assert searches.search(tmp_path).claim(1, ()) is None  # the first process holds it
    first.release()
    again = searches.search(tmp_path).claim(2, ())
    assert (again.number, again.params, again.is_new) == (0, first.params, False)
    assert (again.seeds, again.scores) == ({0: 0.5}, {3: 0.5})


def test_own_trials_are_not_claimed_again(tmp_path):
    # On file systems whose locks belong to processes, an own lock looks free.
    search = searches.search(tmp_path)
    search.claim(2, ()).release()
    assert search.claim(2, {0}).number == 1


def test_trial_of_a_process_that_died_after_asking_is_claimed(tmp_path, monkeypatch):
    search = searches.search(tmp_path)

    def die(self, number, is_new):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(Search, "_claim", die)
        with pytest.raises(KeyboardInterrupt):
            search.claim(1, ())
    assert not (tmp_path / "trials").exists()
    (trial,) = search.trials()
    claim = searches.search(tmp_path).claim(1, ())
    assert (claim.number, claim.params) == (0, trial.params)


def test_trial_that_ended_meanwhile_is_not_run_again(tmp_path, monkeypatch):
    search = searches.search(tmp_path)
    search.claim(1, ()).release()
    before = search.trials()
    search.finish(0, TrialState.COMPLETE, 0.5)
    monkeypatch.setattr(Search, "trials", lambda self: before)
    assert search.claim(1, ()) is None


def test_resumed_search_proposes_the_same_trials(tmp_path):
    def run_trial(search):
        claim = search.claim(None, ())
        search.finish(claim.number, TrialState.COMPLETE, claim.params["lr"])
        claim.release()

    whole = searches.search(tmp_path / "whole")
    for _ in range(14):
        run_trial(whole)
        run_trial(searches.search(tmp_path / "parts"))  # a new process each time
    parts = searches.search(tmp_path / "parts").trials()
    assert [trial.params for trial in parts] == [trial.params for trial in whole.trials()]
