import pytest

from segment.errors import UserError
from segment.search.preconditions import check_budget, check_free


@pytest.mark.parametrize(("trials", "hours"), [(3, None), (None, 0.5), (3, 1)])
def test_a_budget_is_trials_or_hours(trials, hours):
    check_budget(trials, hours)


def test_a_search_without_end_is_refused():
    with pytest.raises(UserError, match="trials and hours are both null"):
        check_budget(None, None)


@pytest.mark.parametrize(
    "argument", ["seed=3", "++hydra.run.dir=x", "resume=true", "hydra.searchpath=[a]", "logger.wandb.group=a", "seed"]
)
def test_what_the_search_sets_is_refused(argument):
    with pytest.raises(UserError, match="is for the search to set; use "):
        check_free(["experiment=quick", argument])


def test_everything_else_is_free():
    check_free(["data.seed=3", "experiment=seed", "logger=csv"])
