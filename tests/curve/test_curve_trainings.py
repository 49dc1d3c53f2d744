import os

from optuna.trial import TrialState

from segment.curve.trainings import CurveTraining, count_missing, kept_overrides, open_search, plan_trainings

PLAN = plan_trainings([2, 4], 2)


def do(search, state=TrialState.COMPLETE):
    """Claim the next training and end it; returns its number of CTs and repeat, or None."""
    claim = search.claim(None, ())
    if claim is None:
        return None
    search.finish(claim.number, state, 0.5 if state == TrialState.COMPLETE else None)
    claim.release()
    return claim.params["cts"], claim.params["repeat"]


def test_trainings_are_done_once_repeat_by_repeat(tmp_path):
    search = open_search(tmp_path, PLAN, "maximize")
    assert count_missing(search.trials(), PLAN) == 4
    assert [do(search) for _ in range(5)] == [(2, 0), (4, 0), (2, 1), (4, 1), None]
    assert count_missing(search.trials(), PLAN) == 0


def test_another_size_adds_only_its_trainings(tmp_path):
    search = open_search(tmp_path, PLAN, "maximize")
    while do(search):
        pass
    search = open_search(tmp_path, plan_trainings([2, 4, 8], 2), "maximize")
    assert [do(search) for _ in range(3)] == [(8, 0), (8, 1), None]


def test_a_failed_training_is_done_again_by_the_next_command(tmp_path):
    search = open_search(tmp_path, PLAN, "maximize")
    assert do(search, TrialState.FAIL) == (2, 0)
    assert [do(search) for _ in range(4)] == [(4, 0), (2, 1), (4, 1), None]
    assert count_missing(search.trials(), PLAN) == 1
    search = open_search(tmp_path, PLAN, "maximize")
    assert [do(search) for _ in range(2)] == [(2, 0), None]
    assert count_missing(search.trials(), PLAN) == 0


def test_a_training_gets_the_split_and_the_seed_of_its_repeat(tmp_path):
    search = open_search(tmp_path, [(4, 2)], "maximize")
    claim = search.claim(None, ())
    splits = tmp_path / "it's"
    training = CurveTraining(["train"], ["x=1"], "val/dice/mean", [0], None, splits=splits, first=7)
    call = training.call(claim, 0)
    os.close(claim.lock)
    quoted = str(splits / "4_2.json").replace("'", r"\'")
    assert call[:5] == ["train", "x=1", "split=file", f"split.path='{quoted}'", "seed=9"]
    assert call[-1] == "resume=false"


def test_options_of_the_curve_are_not_passed_on():
    passed_on = ["data=flare22", "+trainer.x=1", "~callbacks.ema"]
    given = [*passed_on, "sizes=[1,2]", "split.test=0.3", "split=random", "seed=3"]
    assert kept_overrides(given, ("sizes", "split", "seed")) == passed_on
    assert kept_overrides(["splits=1"], ("split",)) == ["splits=1"]
