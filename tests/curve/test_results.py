from types import SimpleNamespace

import pytest
from optuna.trial import TrialState

from segment.curve.results import read_scores
from segment.curve.subsets import Subsets
from segment.curve.trainings import CTS, REPEAT
from segment.errors import UserError
from segment.metrics.cases_csv import COLUMNS


@pytest.mark.parametrize("content", [None, "case,organ\nx,liver\n", ",".join(COLUMNS) + "\n"])
def test_a_finished_training_without_its_whole_table_is_an_error(tmp_path, content):
    """For example, its folder was deleted to free disk space, or the table was edited."""
    if content is not None:
        (tmp_path / "trials" / "3").mkdir(parents=True)
        (tmp_path / "trials" / "3" / "cases.csv").write_text(content)
    subsets = Subsets(val=[["v"]], test=[["t"]], train=[[["a"], ["b"]]], seed=0, patches_per_epoch=4)
    trial = SimpleNamespace(number=3, state=TrialState.COMPLETE, params={CTS: 1, REPEAT: 0})
    with pytest.raises(UserError, match=r"scores of a finished training, .*3/cases\.csv, are lost or damaged"):
        read_scores(tmp_path, [trial], subsets, ["liver"])
