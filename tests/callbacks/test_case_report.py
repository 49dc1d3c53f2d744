import nibabel as nib
import numpy as np
import pytest
import pytorch_lightning as pl
from torch.utils.data import DataLoader

from segment.callbacks import case_report as report
from segment.callbacks.case_report import CaseReport
from segment.data.volumes import LabelledScan
from segment.io.scan import Scan
from segment.metrics.cases_csv import append_case, create_cases, read_cases
from segment.metrics.scores import OrganScore

ORGANS = ["right_organ", "left_organ"]
SCORES = [OrganScore("right_organ", 1.0, 0.0, 1.0, 6.0, 6.0), OrganScore("left_organ", 0.5, 3.0, 0.5, 2.0, 1.0)]


@pytest.fixture
def labelled(stored):
    ct, mask, affine = stored("LPI")
    scan = Scan(ct, affine, nib.Nifti1Header(), ct.shape)
    return LabelledScan("set/case 1", scan, mask, [True] * (1 + int(mask.max())))


@pytest.fixture
def pictures(monkeypatch):
    """Arguments of the functions that write pictures. The pictures themselves are tested elsewhere."""
    calls = []

    def write(path, ct, mask, affine, organs, **more):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
        calls.append((path.name, ct, mask, affine, organs, more))

    monkeypatch.setattr(report, "write_overlay", write)
    monkeypatch.setattr(report, "write_video", write)
    return calls


@pytest.mark.parametrize(("overlay", "video"), [(True, True), (True, False), (False, True), (False, False)])
def test_add_writes_the_rows_and_the_requested_pictures(tmp_path, labelled, pictures, overlay, video):
    create_cases(tmp_path / "cases.csv")
    mask = np.zeros_like(labelled.reference)
    CaseReport(tmp_path, ORGANS, overlay, video).add(labelled, mask, SCORES)
    assert read_cases(tmp_path / "cases.csv") == [("set/case 1", score) for score in SCORES]
    expected = ["overlay.png"] * overlay + ["organs.mp4"] * video
    assert [call[0] for call in pictures] == expected
    assert sorted(path.name for path in tmp_path.glob("cases/set-case 1/*")) == sorted(expected)
    for name, ct, pred, affine, organs, more in pictures:
        assert ct is labelled.scan.data
        assert pred is mask
        assert affine is labelled.scan.affine
        assert organs == ORGANS
        options = {"reference": labelled.reference, "annotated": labelled.annotated, "title": "set/case 1"}
        gif = {"turntable": tmp_path / "cases" / "set-case 1" / "turntable.gif"}
        assert more == (options if name == "overlay.png" else options | gif)


def test_the_rows_are_written_after_the_pictures(tmp_path, labelled, monkeypatch):
    """A resumed evaluation skips cases with rows, so their pictures must exist."""

    def killed(*_, **__):
        raise KeyboardInterrupt

    create_cases(tmp_path / "cases.csv")
    monkeypatch.setattr(report, "write_video", killed)
    with pytest.raises(KeyboardInterrupt):
        CaseReport(tmp_path, ORGANS, overlay=False, video=True).add(labelled, labelled.reference, SCORES)
    assert read_cases(tmp_path / "cases.csv") == []


class Module(pl.LightningModule):
    def test_step(self, batch, batch_idx):
        return {"mask": batch.reference, "scores": SCORES}

    def transfer_batch_to_device(self, batch, device, dataloader_idx):
        return batch


@pytest.mark.filterwarnings("ignore:The '.*_dataloader' does not have many workers")
def test_the_callback_creates_a_new_table_for_every_test(tmp_path, labelled, pictures):
    create_cases(tmp_path / "cases.csv")
    append_case(tmp_path / "cases.csv", "set/earlier", SCORES)
    trainer = pl.Trainer(
        accelerator="cpu",
        callbacks=[CaseReport(tmp_path, ORGANS, overlay=True, video=False)],
        logger=False,
        enable_progress_bar=False,
        default_root_dir=tmp_path,
    )
    trainer.test(Module(), DataLoader([labelled], batch_size=None), verbose=False)
    assert [case for case, _ in read_cases(tmp_path / "cases.csv")] == ["set/case 1", "set/case 1"]
    assert [call[0] for call in pictures] == ["overlay.png"]
