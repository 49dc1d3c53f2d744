import logging
from types import SimpleNamespace

import pytest
import pytorch_lightning as pl
import torch
from torch.utils.data import DataLoader

from segment.callbacks import progress
from segment.callbacks.epoch_line import duration, epoch_lines
from segment.callbacks.progress import EpochProgressBar

ORGANS = ["liver", "right_kidney", "left_kidney", "spleen"]


def metrics(**dice):
    scores = {f"val/dice/{organ}": torch.tensor(value) for organ, value in dice.items()}
    return {"train/loss": torch.tensor(0.5123), **scores}


def test_the_line_of_four_organs_fits_80_columns_below_its_header():
    scores = metrics(mean=0.85, liver=0.9, right_kidney=0.8, left_kidney=float("nan"), spleen=0.0)
    header, line = epoch_lines("1000/1000", scores, ORGANS, 100 * 3600.0, 80)
    assert header.split() == ["epoch", "loss", "dice", *ORGANS, "time", "left"]
    assert line.split() == ["1000/1000", "0.512", "0.850", "0.900", "0.800", "-", "0.000", "100:00:00"]
    assert len(header) == len(line) <= 80
    for name, value in (("liver", "0.900"), ("right_kidney", "0.800"), ("spleen", "0.000")):
        assert header.index(name) + len(name) == line.index(value) + len(value)


def test_with_many_organs_the_line_shows_the_lowest_dice():
    organs = [f"organ_{index}" for index in range(30)]
    scores = metrics(mean=0.5, **{organ: 0.9 - index / 100 for index, organ in enumerate(organs[:7])})
    header, line = epoch_lines("1/2", scores, organs, None, 80)
    assert line.split() == ["1/2", "0.512", "0.500", "-", "0.840", "organ_6"]
    assert len(header) <= 80
    assert len(line) <= 80


def test_an_epoch_without_validation_has_dashes():
    assert epoch_lines("1/2", metrics(), ORGANS, 61.4, 80)[1].split() == ["1/2", "0.512", *"-----", "0:01:01"]
    assert epoch_lines("1/2", metrics(), [f"organ_{i}" for i in range(30)], 0.0, 80)[1].split()[-1] == "-"


def test_durations_over_a_day_are_in_hours():
    assert duration(30 * 3600 + 62) == "30:01:02"


class Net(pl.LightningModule):
    """A training step takes one second on a fake clock, a validation step two."""

    def __init__(self, clock):
        super().__init__()
        self.layer, self.clock = torch.nn.Linear(1, 1), clock

    def training_step(self, batch, batch_idx):
        self.clock.seconds += 1
        loss = self.layer(batch).mean()
        self.log("train/loss", loss, on_step=False, on_epoch=True)
        return loss

    def validation_step(self, batch, batch_idx):
        self.clock.seconds += 2
        self.log("val/dice/mean", 0.25)

    def configure_optimizers(self):
        return torch.optim.SGD(self.parameters(), lr=0.0)


@pytest.fixture
def fit(tmp_path, monkeypatch, caplog):
    """Trains epochs of 4 steps and one validation, 6 seconds each; returns the logged lines."""
    clock = SimpleNamespace(seconds=1000.0)
    monkeypatch.setattr(progress, "monotonic", lambda: clock.seconds)
    caplog.set_level(logging.INFO)

    def run(epochs, ckpt_path=None, max_time=None, validate_every=1):
        caplog.clear()
        trainer = pl.Trainer(
            accelerator="cpu",
            max_epochs=epochs,
            check_val_every_n_epoch=validate_every,
            callbacks=[EpochProgressBar(ORGANS)],
            logger=False,
            enable_checkpointing=False,
            enable_model_summary=False,
            num_sanity_val_steps=0,
            default_root_dir=tmp_path,
            max_time=max_time,
        )
        batches = DataLoader(torch.ones(4, 1))
        trainer.fit(Net(clock), batches, DataLoader(torch.ones(1, 1)), ckpt_path=ckpt_path)
        trainer.save_checkpoint(tmp_path / "last.ckpt")
        return [record.message.split() for record in caplog.records if record.name == "segment.callbacks.progress"]

    return run


@pytest.mark.filterwarnings("ignore:The '.*_dataloader' does not have many workers")
def test_each_epoch_logs_a_line_with_the_time_left(fit, tmp_path):
    header, *lines = fit(3)
    assert header[0] == "epoch"
    assert [line[0] for line in lines] == ["1/3", "2/3", "3/3"]
    assert [line[2] for line in lines] == ["0.250"] * 3
    # The clock starts at the first batch.
    assert [line[-1] for line in lines] == ["0:00:12", "0:00:06", "0:00:00"]
    _, *lines = fit(5, tmp_path / "last.ckpt")
    assert [(line[0], line[-1]) for line in lines] == [("4/5", "0:00:06"), ("5/5", "0:00:00")]


@pytest.mark.filterwarnings("ignore:The '.*_dataloader' does not have many workers")
def test_the_line_does_not_repeat_the_score_of_an_earlier_validation(fit):
    _, *lines = fit(4, validate_every=2)
    assert [line[2] for line in lines] == ["-", "0.250", "-", "0.250"]


@pytest.mark.filterwarnings("ignore:The '.*_dataloader' does not have many workers")
def test_time_left_is_limited_by_max_time(fit):
    _, first, *_ = fit(3, max_time={"seconds": 9})  # less than the two epochs of 6 s on the clock
    assert first[-1] in ("0:00:07", "0:00:08", "0:00:09")
