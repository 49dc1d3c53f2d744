import csv

import nibabel as nib
import numpy as np
import pytest
import pytorch_lightning as pl
from PIL import Image
from torch.utils.data import DataLoader

from segment.callbacks.confusion_report import ConfusionReport, render_confusion
from segment.data.volumes import LabelledScan
from segment.io.scan import Scan

ORGANS = ["liver", "left_kidney"]


class Module(pl.LightningModule):
    """Predicts background in every second plane."""

    def test_step(self, batch, batch_idx):
        mask = batch.reference.copy()
        mask[::2] = 0
        return {"mask": mask}

    def transfer_batch_to_device(self, batch, device, dataloader_idx):
        return batch


def labelled(case, reference, annotated):
    scan = Scan(np.zeros(reference.shape, np.float32), np.eye(4), nib.Nifti1Header(), reference.shape)
    return LabelledScan(case, scan, reference, annotated)


@pytest.mark.filterwarnings("ignore:The '.*_dataloader' does not have many workers")
@pytest.mark.filterwarnings("ignore:The `srun` command is available")
def test_every_test_sums_the_voxels_of_its_own_cases(tmp_path):
    liver, both = np.ones((4, 2, 2), np.uint8), np.ones((4, 2, 2), np.uint8)
    both[:, 0] = 2
    scans = [labelled("a", liver, [True] * 3), labelled("b", both, [True] * 3)]
    trainer = pl.Trainer(
        accelerator="cpu", callbacks=[ConfusionReport(tmp_path, ORGANS)], logger=False, enable_progress_bar=False
    )
    for _ in range(2):
        trainer.test(Module(), DataLoader(scans, batch_size=None), verbose=False)
    with (tmp_path / "confusion.csv").open(newline="") as file:
        voxels = {(row["reference"], row["predicted"]): int(row["voxels"]) for row in csv.DictReader(file)}
    assert {pair: count for pair, count in voxels.items() if count} == {
        ("liver", "background"): 8 + 4,
        ("liver", "liver"): 8 + 4,
        ("left_kidney", "background"): 4,
        ("left_kidney", "left_kidney"): 4,
    }
    assert (tmp_path / "confusion.png").exists()


def test_larger_shares_are_darker(tmp_path):
    """For a perfect network the diagonal is dark and everything else light. A class without voxels stays empty."""
    render_confusion(tmp_path / "x.png", np.array([[9, 0, 0], [0, 5, 0], [0, 0, 0]]), ORGANS)
    with Image.open(tmp_path / "x.png") as picture:
        pixels = np.asarray(picture.convert("RGB")).astype(int)
    dark = (pixels[..., 2] - pixels[..., 0] > 60) & (pixels[..., 0] < 30)
    rows, columns = np.nonzero(dark)
    height, width = rows.max() - rows.min(), columns.max() - columns.min()
    # Two dark fields that touch at a corner fill half of the square around them.
    assert abs(height - width) < 3
    assert 0.4 < dark.sum() / (height * width) < 0.55
