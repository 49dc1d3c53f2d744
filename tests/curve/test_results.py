from types import SimpleNamespace

import pytest
from optuna.trial import TrialState

from segment.curve.results import read_scores
from segment.curve.subsets import Subsets
from segment.curve.trainings import CTS, REPEAT
from segment.errors import UserError


def test_a_finished_training_without_its_table_is_an_error(tmp_path):
    """For example, its folder was deleted to free disk space."""
    subsets = Subsets(val=[["v"]], test=[["t"]], train=[[["a"], ["b"]]], seed=0, patches_per_epoch=4)
    trial = SimpleNamespace(number=3, state=TrialState.COMPLETE, params={CTS: 1, REPEAT: 0})
    with pytest.raises(UserError, match=r"cannot read the scores of a finished training, .*3/cases\.csv; restore it"):
        read_scores(tmp_path, [trial], subsets, ["liver"])
