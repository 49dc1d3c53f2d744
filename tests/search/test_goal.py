import pytest

from segment.errors import UserError
from segment.search.goal import read_direction

DICE = "val/dice/mean"


@pytest.mark.parametrize(
    ("monitor", "direction", "expected"),
    [
        (DICE, None, "maximize"),  # as the checkpoint
        (DICE, "min", "minimize"),
        ("val/loss", "minimize", "minimize"),
        ("val/nsd/mean", "max", "maximize"),
    ],
)
def test_the_direction_is_the_given_one_else_the_checkpoint_s(monitor, direction, expected):
    assert read_direction(monitor, direction, DICE, "max") == expected


def test_the_checkpoint_s_direction_is_no_other_metric_s():
    assert read_direction("val/loss", None, "val/loss", "min") == "minimize"
    for chosen_by, mode in ((DICE, "max"), (None, None)):
        with pytest.raises(UserError, match="monitor=val/loss does not show whether more is better; give direction="):
            read_direction("val/loss", None, chosen_by, mode)


@pytest.mark.parametrize(("direction", "mode"), [("up", "max"), (None, None)])
def test_another_word_is_no_direction(direction, mode):
    with pytest.raises(UserError, match=f"direction must be maximize or minimize, got {direction!r}"):
        read_direction(DICE, direction, DICE, mode)


def test_nothing_is_chosen_by_the_test_set():
    with pytest.raises(UserError, match="monitor=test/dice/mean would choose by the test set"):
        read_direction("test/dice/mean", "maximize", "test/dice/mean", "max")
