import time
from types import SimpleNamespace

import pytest
import torch
from pytorch_lightning.callbacks import EarlyStopping, Timer

from segment.data.splits.split import Split
from segment.run.ending import best_epoch, shortfalls, why_untested

MONITOR = "val/dice/mean"


def trainer(**changed):
    values = {"current_epoch": 4, "max_epochs": 4, "global_step": 8, "callbacks": [], "num_training_batches": 2}
    values |= {"limit_train_batches": 1.0, "limit_val_batches": 1.0, "limit_test_batches": 1.0}
    values |= {"check_val_every_n_epoch": 1, "checkpoint_callback": kept("")}
    return SimpleNamespace(**values | changed)


def kept(path, score=None):
    return SimpleNamespace(best_model_path=str(path), monitor=MONITOR, best_model_score=score)


def test_complete_training_has_no_shortfall():
    assert list(shortfalls(trainer(), 0)) == []


def test_early_stopping_is_reported_with_its_reason():
    stop = EarlyStopping(MONITOR)
    stop.stopping_reason_message = "no better for long"
    (sentence,) = shortfalls(trainer(current_epoch=2, callbacks=[stop]), 0)
    assert sentence == "training ended after 2 of 4 epochs: early stopping: no better for long"


def test_time_limit_is_reported():
    timer = Timer({"seconds": 1})
    timer._start_time["train"] = time.monotonic() - 2
    (sentence,) = shortfalls(trainer(current_epoch=2, callbacks=[timer]), 0)
    assert sentence == "training ended after 2 of 4 epochs: trainer.max_time was reached"
    (sentence,) = shortfalls(trainer(current_epoch=2, max_epochs=-1, callbacks=[timer]), 0)
    assert sentence.startswith("training ended after 2 epochs: ")


@pytest.mark.parametrize(
    ("changed", "before", "why"),
    [
        ({"limit_train_batches": 0, "current_epoch": 0}, 0, "trainer.limit_train_batches=0"),
        ({"max_epochs": 0, "current_epoch": 0}, 0, "trainer.max_epochs=0"),
        ({}, 8, "all 4 epochs are already done; raise trainer.max_epochs to train longer"),
    ],
)
def test_run_that_trains_nothing_reports_why(changed, before, why):
    assert list(shortfalls(trainer(global_step=before, **changed), before)) == [f"nothing was trained: {why}"]


@pytest.mark.parametrize(
    ("changed", "why"),
    [
        ({"limit_val_batches": 0}, "trainer.limit_val_batches=0 skips every validation"),
        ({"check_val_every_n_epoch": 9}, "trainer.check_val_every_n_epoch=9, and only 4 epochs were trained"),
        ({}, f"no epoch has the score {MONITOR}"),
    ],
)
def test_run_without_validation_has_no_best_epoch(changed, why):
    assert best_epoch(trainer(**changed)) == f"there is no best epoch: {why}"


def test_best_epoch_is_reported_with_its_score(tmp_path):
    path = tmp_path / "best.ckpt"
    metadata = {"config": {"organs": [], "preprocess": {}, "model": {}}}
    torch.save({"segment": metadata, "state_dict": {}, "epoch": 3}, path)
    found = best_epoch(trainer(checkpoint_callback=kept(path, torch.tensor(0.81234))))
    assert found == "best epoch: 3, val/dice/mean 0.8123"


def test_skipped_test_is_reported_with_a_reason():
    empty, with_test = Split((), (), ()), SimpleNamespace(test=["a"])
    best = kept("best.ckpt")
    assert why_untested(trainer(checkpoint_callback=best), empty) == "no test: the split has no test cases"
    assert why_untested(trainer(), with_test) == "no test: there is no best checkpoint to test"
    left_out = trainer(checkpoint_callback=best, limit_test_batches=0)
    assert why_untested(left_out, with_test) == "no test: trainer.limit_test_batches=0"
    assert why_untested(trainer(checkpoint_callback=best), with_test) is None
