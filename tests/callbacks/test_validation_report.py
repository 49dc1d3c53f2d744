import csv
import sys
from types import SimpleNamespace

import nibabel as nib
import numpy as np
import pytest
import pytorch_lightning as pl
import torch
from torch.utils.data import DataLoader

from segment.callbacks import validation_report as validation
from segment.callbacks.validation_report import ValidationReport
from segment.data.volumes import LabelledScan
from segment.io.scan import Scan

ORGANS = ["liver", "spleen"]
# Dice of the liver in each epoch. The second epoch is the best.
DICE = {"a": [0.5, 0.8, 0.0], "b": [0.5, 0.4, 0.0], "c": [0.5, 0.6, 0.0]}
pytestmark = [
    pytest.mark.filterwarnings("ignore:The '.*_dataloader' does not have many workers"),
    pytest.mark.filterwarnings("ignore:The `srun` command is available"),
    pytest.mark.filterwarnings("ignore:Checkpoint directory .* exists and is not empty"),
]


def masks(dice):
    """Prediction and reference (1,1,I,J,K) with ten voxels of liver each, and this Dice."""
    pred, reference = torch.zeros(2, 1, 1, 4, 4, 4, dtype=torch.long)
    reference.view(-1)[:10] = 1
    shared = round(10 * dice)
    pred.view(-1)[:shared] = 1
    pred.view(-1)[20 : 30 - shared] = 1
    return pred, reference


class Net(pl.LightningModule):
    """Its only weight is set to the number of the epoch."""

    def __init__(self):
        super().__init__()
        self.weight = torch.nn.Parameter(torch.tensor(-1.0))
        self.used = []

    def training_step(self, batch, batch_idx):
        self.weight.data.fill_(self.current_epoch)
        return 0 * self.weight

    def validation_step(self, batch, batch_idx):
        dice = DICE[batch["id"][0]][self.current_epoch]
        self.log("val/dice/mean", dice, batch_size=1)
        return {"pred": masks(dice)[0]}

    def segmenter(self, scan):
        self.used.append(self.weight.item())
        return scan.data.astype(np.uint8)

    def configure_optimizers(self):
        return torch.optim.SGD(self.parameters(), lr=0)


class Data(pl.LightningDataModule):
    def train_dataloader(self):
        return DataLoader([0], batch_size=1)

    def val_dataloader(self):
        known = torch.tensor([[True, True, False]])
        batches = [{"id": [case], "label": {"data": masks(1)[1]}, "annotated": known} for case in DICE]
        return DataLoader(batches, batch_size=None)


def split():
    return SimpleNamespace(val=[SimpleNamespace(id=case) for case in DICE])


@pytest.fixture
def pictures(monkeypatch):
    """Names and titles of the pictures. The pictures themselves are tested elsewhere."""
    calls = []

    def write(path, ct, mask, affine, organs, **more):
        path.write_text(more["title"])
        calls.append((path.name, more["title"]))

    scan = Scan(np.zeros((2, 2, 2), np.float32), np.eye(4), nib.Nifti1Header(), (2, 2, 2))
    monkeypatch.setattr(validation, "write_overlay", write)
    monkeypatch.setattr(
        validation, "ScanDataset", lambda cases, organs: [LabelledScan(cases[0].id, scan, scan.data, [True] * 3)]
    )
    return calls


def fit(folder, epochs, overlay=True, ckpt_path=None):
    checkpoints = [
        pl.callbacks.ModelCheckpoint(folder, "best", monitor="val/dice/mean", mode="max", enable_version_counter=False),
        pl.callbacks.ModelCheckpoint(folder, "last", enable_version_counter=False),
    ]
    trainer = pl.Trainer(
        accelerator="cpu",
        max_epochs=epochs,
        callbacks=[*checkpoints, ValidationReport(folder, ORGANS, overlay, split)],
        logger=False,
        enable_progress_bar=False,
        enable_model_summary=False,
    )
    net = Net()
    trainer.fit(net, datamodule=Data(), ckpt_path=ckpt_path, weights_only=True)
    return net


def rows(path):
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def test_the_tables_describe_the_best_epoch(tmp_path, pictures):
    fit(tmp_path, 3)
    dice = {(row["case"], row["organ"]): row["dice"] for row in rows(tmp_path / "validation" / "cases.csv")}
    assert list(dice) == [(case, organ) for case in "abc" for organ in ORGANS]
    assert [float(dice[case, "liver"]) for case in "abc"] == [0.8, 0.4, 0.6]
    assert {dice[case, "spleen"] for case in "abc"} == {"nan"}  # not annotated
    voxels = {
        (r["reference"], r["predicted"]): int(r["voxels"]) for r in rows(tmp_path / "validation" / "confusion.csv")
    }
    assert voxels["liver", "liver"] == 8 + 4 + 6
    assert voxels["liver", "background"] == voxels["background", "liver"] == 2 + 6 + 4
    assert sum(voxels.values()) == 3 * 64


def test_the_pictures_show_the_worst_and_the_median_case_with_the_best_weights(tmp_path, pictures):
    net = fit(tmp_path, 3)
    assert sorted(pictures) == [("median.png", "c"), ("worst.png", "b")]
    assert net.used == [1.0, 1.0]
    assert net.weight.item() == 2.0  # the weights of training are restored


def test_both_pictures_show_a_single_case(tmp_path, pictures, monkeypatch):
    monkeypatch.setattr(sys.modules[__name__], "DICE", {"a": [0.5]})
    fit(tmp_path, 1)
    assert pictures == [("worst.png", "a")]
    assert (tmp_path / "validation" / "median.png").read_text() == "a"


def test_a_resumed_run_writes_pictures_that_are_missing_after_a_kill(tmp_path, pictures):
    fit(tmp_path, 2, overlay=False)
    assert pictures == []
    assert not (tmp_path / "validation" / "worst.png").exists()
    before = rows(tmp_path / "validation" / "cases.csv")
    fit(tmp_path, 2, ckpt_path=tmp_path / "last.ckpt")
    assert sorted(pictures) == [("median.png", "c"), ("worst.png", "b")]
    assert rows(tmp_path / "validation" / "cases.csv") == before


def test_the_best_weights_may_be_those_of_a_run_with_another_loss(tmp_path):
    module = Net()
    module.criterion = torch.nn.CrossEntropyLoss(torch.tensor([1.0, 5.0]))
    best = {"weight": torch.tensor(3.0), "criterion.weight": torch.tensor([1.0, 2.0]), "criterion.other": torch.ones(1)}
    torch.save({"state_dict": best}, tmp_path / "best.ckpt")
    with validation._weights_of(str(tmp_path / "best.ckpt"), module, torch.device("cpu")):
        assert module.weight.item() == 3
        assert module.criterion.weight.tolist() == [1, 5]
    assert module.weight.item() == -1


def test_nothing_is_written_without_a_best_checkpoint(tmp_path, pictures):
    trainer = pl.Trainer(
        accelerator="cpu",
        max_epochs=1,
        callbacks=[ValidationReport(tmp_path, ORGANS, overlay=True, split=split)],
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
    )
    trainer.fit(Net(), datamodule=Data())
    assert list(tmp_path.iterdir()) == []
