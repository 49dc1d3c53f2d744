import copy
from types import SimpleNamespace

import pytest
from pytorch_lightning.callbacks.early_stopping import EarlyStoppingReason

from segment.callbacks.early_stopping import StopEarly


def stopped(patience, wait_count):
    callback = StopEarly("score", patience=patience)
    callback.wait_count = wait_count
    callback.stopped_epoch = 7
    callback.stopping_reason = EarlyStoppingReason.PATIENCE_EXHAUSTED
    callback.stopping_reason_message = "no improvement"
    return copy.deepcopy(callback.state_dict())


@pytest.mark.parametrize(("patience", "continues"), [(2, False), (1, False), (5, True)])
def test_a_stopped_run_continues_only_with_more_patience(patience, continues, caplog):
    caplog.set_level("INFO")
    callback = StopEarly("score", patience=patience)
    callback.load_state_dict(stopped(patience=2, wait_count=2))
    trainer = SimpleNamespace(should_stop=False)
    callback.on_fit_start(trainer, None)
    assert trainer.should_stop is not continues
    assert ("the run has stopped early: no improvement" in caplog.text) is not continues
    assert callback.patience == patience
    assert callback.wait_count == 2


def test_more_patience_does_not_restart_a_run_with_a_nan_score():
    state = stopped(patience=2, wait_count=0) | {"stopping_reason": EarlyStoppingReason.NON_FINITE_METRIC.value}
    callback = StopEarly("score", patience=50)
    callback.load_state_dict(state)
    trainer = SimpleNamespace(should_stop=False)
    callback.on_fit_start(trainer, None)
    assert trainer.should_stop
