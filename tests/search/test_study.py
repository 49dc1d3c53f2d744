from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context

import pytest
import searches
from optuna.trial import TrialState

from segment.search.study import Search


def test_the_budget_counts_every_trial_of_whatever_end(tmp_path):
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


def test_processes_that_ask_at_the_same_time_get_trials_of_their_own(tmp_path):
    searches.search(tmp_path)
    with ProcessPoolExecutor(4, mp_context=get_context("spawn")) as pool:
        numbers = list(pool.map(searches.claim_all, [tmp_path] * 4, [10] * 4, [4] * 4))
    assert sorted(number for each in numbers for number in each) == list(range(10))
    assert sum(bool(each) for each in numbers) > 1  # they did ask at the same time
    assert len(searches.search(tmp_path).trials()) == 10


def test_a_trial_whose_holder_is_gone_goes_on_with_its_number_and_parameters(tmp_path):
    search = searches.search(tmp_path)
    first = search.claim(2, ())
    search.note(0, "seeds", {"0": 0.5})
    search.report(0, 3, 0.5)
    assert searches.search(tmp_path).claim(1, ()) is None  # it is held
    first.release()
    again = searches.search(tmp_path).claim(2, ())
    assert (again.number, again.params, again.is_new) == (0, first.params, False)
    assert (again.seeds, again.scores) == ({0: 0.5}, {3: 0.5})


def test_own_trials_are_not_taken_for_left_ones(tmp_path):
    # On file systems whose locks belong to processes, an own one would look free.
    search = searches.search(tmp_path)
    search.claim(2, ()).release()
    assert search.claim(2, {0}).number == 1


def test_a_process_that_died_right_after_asking_loses_no_number(tmp_path, monkeypatch):
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


def test_a_trial_that_ended_between_two_looks_is_not_run_again(tmp_path, monkeypatch):
    search = searches.search(tmp_path)
    search.claim(1, ()).release()
    before = search.trials()
    search.finish(0, TrialState.COMPLETE, 0.5)
    monkeypatch.setattr(Search, "trials", lambda self: before)
    assert search.claim(1, ()) is None


def test_a_killed_and_resumed_search_asks_what_it_would_have_asked(tmp_path):
    def tell(search):
        claim = search.claim(None, ())
        search.finish(claim.number, TrialState.COMPLETE, claim.params["lr"])
        claim.release()

    whole = searches.search(tmp_path / "whole")
    for _ in range(14):
        tell(whole)
        tell(searches.search(tmp_path / "parts"))  # a new process each time
    parts = searches.search(tmp_path / "parts").trials()
    assert [trial.params for trial in parts] == [trial.params for trial in whole.trials()]
