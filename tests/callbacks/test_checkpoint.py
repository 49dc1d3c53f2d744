import os
import resource
import signal
from contextlib import contextmanager
from pathlib import Path

import pytest
import pytorch_lightning as pl
import torch
from hydra.utils import instantiate
from omegaconf import OmegaConf
from torch.utils.data import DataLoader

from segment.callbacks.checkpoint import AtomicCheckpointIO, RelativeCheckpoint
from segment.errors import UserError

CALLBACKS = Path(__file__).parents[2] / "conf" / "callbacks" / "default.yaml"


class Line(pl.LightningModule):
    """Logs the given scores, one per epoch."""

    def __init__(self, scores):
        super().__init__()
        self.layer = torch.nn.Linear(1, 1)
        self.scores = scores

    def training_step(self, batch, batch_idx):
        return self.layer(batch).square().mean()

    def validation_step(self, batch, batch_idx):
        self.log("val/score", self.scores[self.current_epoch])

    def configure_optimizers(self):
        return torch.optim.SGD(self.parameters(), lr=0.1)


def fit(folder, scores, ckpt_path=None, validate_every=1, **best):
    """Train with the checkpoint callbacks of the real configuration; return the one for the best checkpoint."""
    shared = {"run_dir": str(folder), "monitor": "val/score", "monitor_mode": "max"}
    cfg = OmegaConf.create({**shared, "callbacks": OmegaConf.load(CALLBACKS)})
    callbacks = [instantiate(cfg.callbacks.checkpoint, **best), instantiate(cfg.callbacks.last)]
    trainer = pl.Trainer(
        accelerator="cpu",
        max_epochs=len(scores),
        check_val_every_n_epoch=validate_every,
        callbacks=callbacks,
        plugins=[AtomicCheckpointIO()],
        logger=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        num_sanity_val_steps=0,
        default_root_dir=folder,
    )
    loader = DataLoader(torch.ones(2, 1), batch_size=1)
    trainer.fit(Line(scores), loader, loader, ckpt_path=ckpt_path, weights_only=True)
    assert trainer.checkpoint_callback is callbacks[0]
    return callbacks[0]


@pytest.mark.filterwarnings("ignore:Checkpoint directory .* exists and is not empty")
@pytest.mark.filterwarnings("ignore:The '.*_dataloader' does not have many workers")
def test_a_run_resumes_after_its_folder_was_moved(tmp_path):
    fit(tmp_path / "before", [0.1, 0.7, 0.3])
    (tmp_path / "before").rename(tmp_path / "after")
    moved = fit(tmp_path / "after", [None, None, None, 0.5], ckpt_path=tmp_path / "after" / "checkpoints" / "last.ckpt")
    folder = tmp_path / "after" / "checkpoints"
    assert float(moved.best_model_score) == pytest.approx(0.7)
    assert moved.best_model_path == str(folder / "best.ckpt")
    assert [str(path) for path in moved.best_k_models] == [str(folder / "best.ckpt")]
    epochs = {path.name: torch.load(path, weights_only=True)["epoch"] for path in folder.iterdir()}
    assert epochs == {"best.ckpt": 1, "last.ckpt": 3}


@pytest.mark.filterwarnings("ignore:Checkpoint directory .* exists and is not empty")
@pytest.mark.filterwarnings("ignore:The '.*_dataloader' does not have many workers")
def test_the_state_of_callbacks_survives_a_resume(tmp_path):
    scores = [0.1, 0.7, 0.3, 0.5]
    fit(tmp_path / "one", scores)
    fit(tmp_path / "other", scores[:3])
    fit(tmp_path / "other", scores, ckpt_path=tmp_path / "other" / "checkpoints" / "last.ckpt")
    one, other = (
        torch.load(tmp_path / name / "checkpoints" / "last.ckpt", weights_only=True) for name in ("one", "other")
    )
    assert one["callbacks"] == other["callbacks"]


@pytest.mark.filterwarnings("ignore:The '.*_dataloader' does not have many workers")
@pytest.mark.filterwarnings("ignore:.*could not find the monitored key")
def test_an_epoch_without_validation_is_not_saved_under_an_earlier_score(tmp_path):
    best = fit(tmp_path, [None, 0.7, None, 0.5, None], validate_every=2, filename="{epoch}", save_top_k=2)
    scores = {Path(path).stem: round(float(score), 3) for path, score in best.best_k_models.items()}
    assert scores == {"1": 0.7, "3": 0.5}
    assert torch.load(tmp_path / "checkpoints" / "last.ckpt", weights_only=True)["epoch"] == 4


def test_several_best_files_need_different_names(tmp_path):
    with pytest.raises(UserError, match=r"save_top_k=3 needs a different name for each file"):
        RelativeCheckpoint(tmp_path, "best", monitor="a", save_top_k=3)
    RelativeCheckpoint(tmp_path, "{epoch}", monitor="a", save_top_k=3)


@pytest.mark.filterwarnings("ignore:The '.*_dataloader' does not have many workers")
def test_a_checkpoint_contains_no_path(tmp_path):
    fit(tmp_path, [0.1])
    for name in ("best.ckpt", "last.ckpt"):
        content = (tmp_path / "checkpoints" / name).read_bytes()  # not compressed
        for secret in (str(tmp_path), str(Path.home()), str(Path.cwd())):
            assert secret.encode() not in content


class Bomb:
    """Kills the process when it is pickled."""

    def __reduce__(self):
        os.kill(os.getpid(), signal.SIGKILL)


@pytest.mark.parametrize("instant", ["while writing", "before the rename"])
def test_the_previous_checkpoint_survives_kill_9(tmp_path, monkeypatch, instant):
    path, writer = tmp_path / "last.ckpt", AtomicCheckpointIO()
    writer.save_checkpoint({"epoch": 1}, path)
    child = os.fork()
    if child == 0:
        if instant == "before the rename":
            monkeypatch.setattr(os, "replace", lambda *_: os.kill(os.getpid(), signal.SIGKILL))
            monkeypatch.setattr(type(path), "replace", lambda *_: os.kill(os.getpid(), signal.SIGKILL))
        writer.save_checkpoint({"epoch": 2, "bomb": Bomb() if instant == "while writing" else None}, path)
        os._exit(0)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == -signal.SIGKILL
    assert torch.load(path, weights_only=True) == {"epoch": 1}
    assert len(list(tmp_path.iterdir())) == 2
    writer.save_checkpoint({"epoch": 3}, path)
    assert torch.load(path, weights_only=True) == {"epoch": 3}
    assert list(tmp_path.iterdir()) == [path]  # the temporary file of the killed process is removed


@contextmanager
def file_size_limit(size):
    """Limit files to this many bytes, as on a full disk."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_a_full_disk_is_reported_and_keeps_the_previous_checkpoint(tmp_path):
    path, writer = tmp_path / "last.ckpt", AtomicCheckpointIO()
    writer.save_checkpoint({"epoch": 1}, path)
    with (
        file_size_limit(10_000),
        pytest.raises(UserError, match=r"cannot write the checkpoint last\.ckpt: File too large"),
    ):
        writer.save_checkpoint({"epoch": 2, "weights": torch.randn(10_000)}, path)
    assert torch.load(path, weights_only=True) == {"epoch": 1}
    assert list(tmp_path.iterdir()) == [path]


def test_an_object_that_torch_cannot_save_raises_the_original_error(tmp_path):
    with pytest.raises(AttributeError, match="local object"):
        AtomicCheckpointIO().save_checkpoint({"function": lambda: None}, tmp_path / "last.ckpt")
    assert list(tmp_path.iterdir()) == []
