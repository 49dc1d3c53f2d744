import pytest

from segment.errors import UserError
from segment.search.options import check_budget, check_not_reserved, read_direction

DICE = "val/dice/mean"


@pytest.mark.parametrize(
    ("monitor", "direction", "expected"),
    [
        (DICE, None, "maximize"),  # that of the checkpoint
        (DICE, "min", "minimize"),
        ("val/loss", "minimize", "minimize"),
        ("val/nsd/mean", "max", "maximize"),
    ],
)
def test_direction_is_the_given_one_or_that_of_the_checkpoint(monitor, direction, expected):
    assert read_direction(monitor, direction, DICE, "max") == expected


def test_direction_of_the_checkpoint_is_not_used_for_another_metric():
    assert read_direction("val/loss", None, "val/loss", "min") == "minimize"
    for checkpoint_monitor, mode in ((DICE, "max"), (None, None)):
        with pytest.raises(UserError, match="monitor=val/loss does not show whether more is better; give direction="):
            read_direction("val/loss", None, checkpoint_monitor, mode)


@pytest.mark.parametrize(("direction", "mode"), [("up", "max"), (None, None)])
def test_unknown_direction_is_refused(direction, mode):
    with pytest.raises(UserError, match=f"direction must be maximize or minimize, got {direction!r}"):
        read_direction(DICE, direction, DICE, mode)


def test_test_scores_are_refused():
    with pytest.raises(UserError, match="monitor=test/dice/mean would select trials by the test set"):
        read_direction("test/dice/mean", "maximize", "test/dice/mean", "max")


@pytest.mark.parametrize(("trials", "hours"), [(3, None), (None, 0.5), (3, 1)])
def test_budget_is_trials_or_hours(trials, hours):
    check_budget(trials, hours)


def test_endless_search_is_refused():
    with pytest.raises(UserError, match="trials and hours are both null"):
        check_budget(None, None)


@pytest.mark.parametrize(
    "argument", ["seed=3", "++hydra.run.dir=x", "resume=true", "hydra.searchpath=[a]", "logger.wandb.group=a", "seed"]
)
def test_reserved_keys_are_refused(argument):
    with pytest.raises(UserError, match=r"the search sets .* for every trial"):
        check_not_reserved(["experiment=quick", argument])


def test_other_keys_are_accepted():
    check_not_reserved(["data.seed=3", "experiment=seed", "logger=csv"])
