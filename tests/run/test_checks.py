from types import SimpleNamespace

import pytest

from segment.errors import UserError
from segment.run.checks import check_monitored


def check(*monitors):
    """Check monitors of a run whose two validation cases show the liver, and one of them the left kidney."""
    volumes = {"a": SimpleNamespace(meta={"classes": [1]}), "b": SimpleNamespace(meta={"classes": [1, 2]})}
    split = SimpleNamespace(val=(SimpleNamespace(id="a"), SimpleNamespace(id="b")))
    datamodule = SimpleNamespace(split=split, volumes=volumes, organs=["liver", "left_kidney", "spleen"])
    callbacks = [SimpleNamespace(monitor=monitor) for monitor in monitors]
    check_monitored(datamodule, SimpleNamespace(callbacks=[*callbacks, SimpleNamespace()]))


@pytest.mark.parametrize("score", ["dice", "accuracy"])
def test_a_score_of_an_organ_that_no_validation_case_shows_cannot_choose_the_best_epoch(score):
    message = (
        f"monitor=val/{score}/spleen, but no validation case shows spleen, so no epoch would have this score; choose"
    )
    with pytest.raises(UserError, match=message):
        check("val/dice/mean", f"val/{score}/spleen")


def test_other_monitors_are_accepted():
    check("val/dice/mean", "val/loss", None, "val/dice/left_kidney", "val/accuracy/liver")
