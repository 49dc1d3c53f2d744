import csv
import os

import pytest
import pytorch_lightning as pl
import torch
from pytorch_lightning.plugins.io import TorchCheckpointIO
from pytorch_lightning.utilities import rank_zero_only
from torch.utils.data import DataLoader

from segment.loggers.metrics_csv import LogBeforeSaving, MetricsCSV


def rows(path):
    with path.open(newline="") as file:
        return [{name: value for name, value in row.items() if value} for row in csv.DictReader(file)]


def test_each_step_is_a_row_and_written_at_once(tmp_path):
    path, logger = tmp_path / "metrics.csv", MetricsCSV(tmp_path)
    assert not path.exists()
    logger.log_metrics({"lr": 0.1}, step=0)
    assert path.read_text() == "step,lr\n0,0.1\n"
    logger.log_metrics({"lr": 0.05}, step=3)
    assert path.read_text() == "step,lr\n0,0.1\n3,0.05\n"
    logger.log_metrics({"val/dice": float("nan"), "lr": 1.0}, step=3)  # a new column, and a shorter value
    assert path.read_text() == "step,lr,val/dice\n0,0.1,\n3,1.0,nan\n"
    logger.log_metrics({"val/dice": 0.123456}, step=4)
    logger.log_metrics({"val/dice": 0.5}, step=4)
    logger.log_metrics({"lr": 7}, step=5)
    assert path.read_text() == "step,lr,val/dice\n0,0.1,\n3,1.0,nan\n4,,0.5\n5,7,\n"
    assert [p.name for p in tmp_path.iterdir()] == ["metrics.csv"]


def test_rows_are_appended_if_the_columns_do_not_change(tmp_path):
    """If the whole table was written at every step, the time would grow with the square of its length."""
    path, logger = tmp_path / "metrics.csv", MetricsCSV(tmp_path)
    logger.log_metrics({"a": 1}, step=0)
    file = path.stat().st_ino
    for step in range(1, 5):
        logger.log_metrics({"a": step}, step=step)
    assert path.stat().st_ino == file
    assert [row["a"] for row in rows(path)] == ["1", "1", "2", "3", "4"]


def test_a_resumed_run_adds_to_the_table(tmp_path):
    path, first = tmp_path / "metrics.csv", MetricsCSV(tmp_path)
    for step in range(4):
        first.log_metrics({"name, with comma": step / 10}, step=step)
    second = MetricsCSV(tmp_path)
    second.truncate(2)
    assert path.read_text() == 'step,"name, with comma"\n0,0.0\n1,0.1\n'
    second.log_metrics({"late": 5}, step=1)
    second.log_metrics({"name, with comma": 0.2}, step=2)
    assert path.read_text() == 'step,"name, with comma",late\n0,0.0,\n1,0.1,5\n2,0.2,\n'
    third = MetricsCSV(tmp_path)  # without `truncate`: a test of the finished run
    third.log_metrics({"late": 6}, step=2)
    assert path.read_text() == 'step,"name, with comma",late\n0,0.0,\n1,0.1,5\n2,0.2,6\n'
    third.truncate(0)
    assert not path.exists()
    third.log_metrics({"new": 1}, step=0)
    assert path.read_text() == "step,new\n0,1\n"


@pytest.mark.parametrize("rest", ["1,3", "1,3,", "1,3,0.1", "\0\0\0"])
def test_an_incomplete_last_row_is_dropped(tmp_path, rest):
    (tmp_path / "metrics.csv").write_text(f"step,a,b\n0,1,2\n{rest}")
    MetricsCSV(tmp_path).log_metrics({"a": 4}, step=2)
    assert (tmp_path / "metrics.csv").read_text() == "step,a,b\n0,1,2\n2,4,\n"


def test_only_the_first_process_writes(tmp_path, monkeypatch):
    monkeypatch.setattr(rank_zero_only, "rank", 1)
    logger = MetricsCSV(tmp_path)
    logger.log_metrics({"a": 1}, step=0)
    logger.truncate(0)
    assert list(tmp_path.iterdir()) == []


class Line(pl.LightningModule):
    def __init__(self):
        super().__init__()
        self.layer = torch.nn.Linear(1, 1)

    def training_step(self, batch, batch_idx):
        loss = self.layer(batch).square().mean()
        self.log("train/loss", loss, on_step=False, on_epoch=True)
        return loss

    def validation_step(self, batch, batch_idx):
        self.log("val/loss", self.layer(batch).square().mean())

    def test_step(self, batch, batch_idx):
        self.log("test/loss", 1.0)

    def configure_optimizers(self):
        optimizer = torch.optim.SGD(self.parameters(), lr=0.1)
        return {"optimizer": optimizer, "lr_scheduler": torch.optim.lr_scheduler.StepLR(optimizer, 1)}


def fit(folder, max_epochs, resume, callbacks=()):
    torch.manual_seed(0)
    logger, last = MetricsCSV(folder), folder / "last.ckpt"
    logger.truncate(torch.load(last, weights_only=True)["global_step"] if resume else 0)
    trainer = pl.Trainer(
        accelerator="cpu",
        max_epochs=max_epochs,
        check_val_every_n_epoch=2,
        callbacks=[
            pl.callbacks.LearningRateMonitor(logging_interval="epoch"),
            pl.callbacks.ModelCheckpoint(folder, "last", enable_version_counter=False, save_on_train_epoch_end=True),
            LogBeforeSaving(),
            *callbacks,
        ],
        logger=[logger],
        enable_progress_bar=False,
        enable_model_summary=False,
        num_sanity_val_steps=0,
        log_every_n_steps=1,
    )
    loader, module = DataLoader(torch.ones(2, 1), batch_size=1), Line()
    trainer.fit(module, loader, loader, ckpt_path=last if resume else None, weights_only=True)
    trainer.test(module, loader, verbose=False)


@pytest.mark.filterwarnings("ignore:The '.*_dataloader' does not have many workers")
def test_the_table_is_flushed_before_a_checkpoint_is_saved(tmp_path, monkeypatch):
    """Otherwise rows could be missing if the power fails between the two."""
    table, events, on_disk = tmp_path / "metrics.csv", [], os.fsync

    def fsync(number):
        if table.exists() and os.path.samestat(os.fstat(number), table.stat()):
            events.append(("table", table.read_text()))
        on_disk(number)

    def save(self, checkpoint, path, storage_options=None):
        events.append(("checkpoint", table.read_text()))

    monkeypatch.setattr(os, "fsync", fsync)
    monkeypatch.setattr(TorchCheckpointIO, "save_checkpoint", save)
    fit(tmp_path, 3, resume=False)
    saved = [index for index, (what, _) in enumerate(events) if what == "checkpoint"]
    assert len(saved) == 3
    for index in saved:
        assert events[index - 1] == ("table", events[index][1])
    assert len(events) == 6  # single rows are not flushed


class KilledAfterSaving(pl.callbacks.ModelCheckpoint):
    """Simulates a kill just after the checkpoint of an epoch. Checkpoint callbacks run in the order of the list."""

    def __init__(self, folder, epoch):
        super().__init__(folder)
        self.epoch = epoch

    def on_train_epoch_end(self, trainer, pl_module):
        if trainer.current_epoch == self.epoch:
            raise KilledError


class KilledError(Exception):
    pass


@pytest.fixture
def whole(tmp_path):
    """The table of an uninterrupted run of three epochs and a test."""
    fit(tmp_path / "whole", 3, resume=False)
    return rows(tmp_path / "whole" / "metrics.csv")


@pytest.mark.filterwarnings("ignore:Checkpoint directory .* exists and is not empty")
@pytest.mark.filterwarnings("ignore:The '.*_dataloader' does not have many workers")
class TestResume:
    def test_each_epoch_has_a_row(self, whole):
        assert [row["step"] for row in whole if "train/loss" in row] == ["1", "3", "5"]
        assert [row["step"] for row in whole if "val/loss" in row] == ["3"]
        assert [row["step"] for row in whole if "lr-SGD" in row] == ["0", "2", "4"]
        assert [row["step"] for row in whole if "test/loss" in row] == ["6"]

    def test_the_table_after_a_test_and_a_resume_equals_that_of_an_uninterrupted_run(self, tmp_path, whole):
        """The row of the first test is removed: Lightning gives it the number of the next training step."""
        fit(tmp_path / "stopped", 2, resume=False)
        fit(tmp_path / "stopped", 3, resume=True)
        assert rows(tmp_path / "stopped" / "metrics.csv") == whole

    @pytest.mark.filterwarnings("ignore:Be aware that when using `ckpt_path`, callbacks .*KilledAfterSaving")
    @pytest.mark.parametrize("epoch", [0, 1])
    def test_the_table_after_a_kill_and_a_resume_equals_that_of_an_uninterrupted_run(self, tmp_path, whole, epoch):
        with pytest.raises(KilledError):
            fit(tmp_path / "killed", 3, resume=False, callbacks=[KilledAfterSaving(tmp_path / "unused", epoch)])
        fit(tmp_path / "killed", 3, resume=True)
        assert rows(tmp_path / "killed" / "metrics.csv") == whole
