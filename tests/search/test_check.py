import pytest

from segment.errors import UserError
from segment.search.check import check_budget, check_free

GOOD = {"trials": 3, "hours": None, "trial_hours": None, "seeds": 1, "workers": 1}


def test_a_budget_is_trials_or_hours():
    check_budget(**GOOD)
    check_budget(**GOOD | {"trials": None, "hours": 0.5, "trial_hours": 1})


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"trials": 0}, "trials must be a whole number from 1, got 0"),
        ({"workers": 1.5}, "workers must be a whole number from 1, got 1.5"),
        ({"seeds": None}, "seeds must be a whole number from 1, got None"),
        ({"hours": -1}, "hours must be a number above 0 or null, got -1"),
        ({"trial_hours": "1h"}, "trial_hours must be a number above 0 or null, got '1h'"),
        ({"trials": None}, "trials and hours are both null"),
    ],
)
def test_a_budget_that_means_nothing_is_refused(wrong, message):
    with pytest.raises(UserError, match=message):
        check_budget(**GOOD | wrong)


@pytest.mark.parametrize(
    "argument", ["seed=3", "++hydra.run.dir=x", "resume=true", "hydra.searchpath=[a]", "logger.wandb.group=a", "seed"]
)
def test_what_the_search_sets_is_refused(argument):
    with pytest.raises(UserError, match="is for the search to set; use "):
        check_free(["experiment=quick", argument])


def test_everything_else_is_free():
    check_free(["data.seed=3", "experiment=seed", "logger=csv"])
