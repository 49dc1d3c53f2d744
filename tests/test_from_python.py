"""`train(cfg)` from Python, with another trainer and a function as the loss."""

import pytest
import pytorch_lightning as pl
import torch
from monai.losses import DiceCELoss
from omegaconf import OmegaConf
from run_commands import config
from torch import Tensor

from segment.commands.train import train
from segment.errors import UserError
from segment.runtime.seeding import random_state

PLAIN = {"_target_": "pytorch_lightning.Trainer", "accelerator": "cpu", "devices": 1, "log_every_n_steps": 1}
TINY = [
    *("experiment=smoke", "augment=none", "logger=csv", "test=false", "preflight=false", "data.num_workers=0"),
    *("data.batch_size=1", "data.patches_per_epoch=2", "data.patch_size=[16,16,16]", "spacing_mm=[10,10,10]"),
    *("model.inferer.patch_size=[32,32,32]", "callbacks.validation=null", "callbacks.confusion=null"),
    *("page=false", "callbacks.progress=null", "callbacks.cases=null"),
]
# One pytest worker runs this file, because its runs share stored volumes.
pytestmark = pytest.mark.xdist_group("from_python")


class Seen(pl.Callback):
    """Keeps the sum of every patch, by epoch."""

    patches: dict[int, list[float]]

    def on_train_batch_start(self, trainer, pl_module, batch, batch_idx):
        type(self).patches.setdefault(trainer.current_epoch, []).append(float(batch["image"]["data"].double().sum()))


def loss(logits: Tensor, label: Tensor) -> Tensor:
    """A plain function of logits and label."""
    value: Tensor = DiceCELoss(to_onehot_y=True, softmax=True)(logits.float(), label)
    return value


@pytest.fixture
def run(tmp_path, monkeypatch):
    """Compose and train in this process; takes the number of epochs and overrides."""
    monkeypatch.setenv("SEGMENT_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("PL_GLOBAL_SEED", "0")  # training sets both; monkeypatch restores them
    monkeypatch.setenv("PL_SEED_WORKERS", "0")
    monkeypatch.chdir(tmp_path)

    def call(epochs, *overrides):
        Seen.patches = {}
        cfg = config("train", *TINY, *overrides)
        cfg.trainer = PLAIN | {"max_epochs": epochs, "enable_progress_bar": False}
        OmegaConf.set_struct(cfg, False)
        cfg.callbacks["seen"] = {"_target_": f"{__name__}.Seen"}
        cfg.model.criterion = {"_target_": f"{__name__}.loss", "_partial_": True}
        with random_state(0):
            return train(cfg)

    return call


def weights(folder):
    return torch.load(folder / "checkpoints" / "last.ckpt", weights_only=True)["state_dict"]


@pytest.mark.filterwarnings("ignore:Checkpoint directory")  # a resume writes to the same folder
def test_another_trainer_gets_new_patches_each_epoch_and_can_be_resumed_exactly(run, tmp_path):
    run(2)
    (whole,) = (tmp_path / "outputs" / "smoke").iterdir()  # the folder is chosen as on the command line
    assert set(Seen.patches[0]).isdisjoint(Seen.patches[1])
    second = Seen.patches[1]

    run(1, "run_dir=short")
    config, facts = (tmp_path / "short" / name for name in ("config.yaml", "environment.json"))
    run(2, "run_dir=short", "resume=short", "allow_changed=[trainer.max_epochs]")
    assert Seen.patches == {1: second}
    ours, theirs = weights(tmp_path / "short"), weights(whole)
    assert [name for name in ours if not torch.equal(ours[name], theirs[name])] == []

    before = config.read_bytes(), facts.read_bytes()
    with pytest.raises(UserError, match=r"was saved after 2 epochs, more than trainer.max_epochs=1; raise that"):
        run(1, "run_dir=short", "resume=short", "allow_changed=[trainer.max_epochs]")
    assert (config.read_bytes(), facts.read_bytes()) == before


def test_options_are_checked_in_python_too(run):
    with pytest.raises(UserError, match="would keep the worst epoch"):
        run(1, "monitor=val/loss")
    with pytest.raises(UserError, match="from_run reads the overrides of a command line"):
        run(1, "from_run=somewhere")
