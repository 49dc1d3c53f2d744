import math

import pytest
from pytorch_lightning.utilities import rank_zero_only
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from segment.loggers.tensorboard import TensorBoardRun


def scalars(folder):
    """Steps and values of each scalar, in the order of writing."""
    events = EventAccumulator(str(folder / "tensorboard"), purge_orphaned_data=False)
    events.Reload()
    tags = [tag for tag in events.Tags()["scalars"] if not tag.startswith("hp_")]
    return {tag: [(event.step, event.value) for event in events.Scalars(tag)] for tag in tags}


def test_every_value_is_written_once_with_its_step(tmp_path):
    logger = TensorBoardRun(tmp_path)
    logger.log_hyperparams({"seed": 0, "organs": ["liver"]})
    logger.truncate(0)
    logger.log_metrics({"lr": 0.5}, step=0)
    logger.log_metrics({"train/loss": 2.0, "epoch": 0}, step=3)
    logger.log_metrics({"train/loss": 2.0, "epoch": 0}, step=3)  # before and after the checkpoint is saved
    logger.finalize("success")
    logger.log_metrics({"test/dice": math.nan}, step=4)
    logger.finalize("success")
    logger.finalize("success")
    found = scalars(tmp_path)
    assert math.isnan(found.pop("test/dice")[0][1])
    assert found == {"lr": [(0, 0.5)], "train/loss": [(3, 2.0)], "epoch": [(3, 0.0)]}


@pytest.mark.parametrize("step", [0, 1, 3, 5])
def test_a_resumed_run_has_every_step_once(tmp_path, step):
    first = TensorBoardRun(tmp_path)
    first.log_hyperparams({"seed": 0})
    first.truncate(0)
    for done in range(5):
        first.log_metrics({"loss": done / 4}, step=done)
    first.board.experiment.flush()  # then the process is killed
    second = TensorBoardRun(tmp_path)
    second.log_hyperparams({"seed": 0})
    second.truncate(step)
    for done in range(step, 7):
        second.log_metrics({"loss": done / 4}, step=done)
    second.finalize("success")
    assert scalars(tmp_path) == {"loss": [(done, done / 4) for done in range(7)]}


def test_only_the_first_process_writes(tmp_path, monkeypatch):
    monkeypatch.setattr(rank_zero_only, "rank", 1)
    logger = TensorBoardRun(tmp_path)
    logger.log_hyperparams({"seed": 0})
    logger.truncate(0)
    logger.log_metrics({"a": 1}, step=0)
    logger.finalize("success")
    assert list(tmp_path.iterdir()) == []
