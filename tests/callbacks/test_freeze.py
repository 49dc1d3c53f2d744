import pytest
import pytorch_lightning as pl
import torch
from torch import nn
from torch.utils.data import DataLoader

from segment.callbacks.freeze import Freeze
from segment.errors import UserError

pytestmark = [
    pytest.mark.filterwarnings("ignore:The '.*_dataloader' does not have many workers"),
    pytest.mark.filterwarnings("ignore:The `srun` command is available"),
    pytest.mark.filterwarnings("ignore:Found .* module.s. in eval mode at the start of training"),
]


class Line(pl.LightningModule):
    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.net = nn.ModuleDict(
            {
                "encoder": nn.Sequential(
                    nn.Linear(1, 2), nn.BatchNorm1d(2), nn.Dropout(0.5), nn.BatchNorm1d(2, affine=False)
                ),
                "head": nn.Sequential(nn.BatchNorm1d(2), nn.Linear(2, 1)),
            }
        )
        self.epochs = []

    def training_step(self, batch, batch_idx):
        self.modes = {name: part.training for name, part in self.net.named_modules()}
        return (self.net["head"](self.net["encoder"](batch)) - 3).square().mean()

    def validation_step(self, batch, batch_idx):
        pass

    def on_train_epoch_end(self):
        self.epochs.append({name: value.clone() for name, value in self.net.state_dict().items()})

    def configure_optimizers(self):
        return torch.optim.AdamW(self.parameters(), lr=0.1, weight_decay=0.1)


def fit(folder, freeze, epochs=3, ckpt_path=None):
    module = Line()
    trainer = pl.Trainer(
        accelerator="cpu",
        max_epochs=epochs,
        callbacks=[freeze],
        logger=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        enable_checkpointing=False,
        default_root_dir=folder,
    )
    loader = DataLoader(torch.arange(8.0)[:, None], batch_size=4)
    trainer.fit(module, loader, loader, ckpt_path=ckpt_path, weights_only=True)
    trainer.save_checkpoint(folder / f"{epochs}.ckpt")
    return module


def changed(before, after):
    return {name for name, value in before.items() if not torch.equal(value, after[name])}


def test_frozen_parameters_and_running_statistics_do_not_change(tmp_path):
    first = Line().net.state_dict()
    module = fit(tmp_path, Freeze(["encoder.*"], until_epoch=None))
    assert {name.split(".")[0] for name in changed(first, module.epochs[-1])} == {"head"}
    assert not module.modes["encoder.1"]
    assert not module.modes["encoder.3"]  # which has no parameters
    assert module.modes["encoder.2"]  # dropout is not frozen
    assert module.modes["head.0"]


def test_patterns_can_freeze_parts_of_layers(tmp_path):
    first = Line().net.state_dict()
    module = fit(tmp_path, Freeze(["encoder.1.bias", "head.0.*"], until_epoch=None))
    same = first.keys() - changed(first, module.epochs[-1])
    # The weight of the encoder's normalisation is trained, so its statistics change, too.
    assert same == {"encoder.1.bias", *(name for name in first if name.startswith("head.0."))}


def test_parameters_train_again_from_until_epoch(tmp_path):
    first = Line().net.state_dict()
    module = fit(tmp_path, Freeze(["encoder.*"], until_epoch=1))
    assert not any(name.startswith("encoder") for name in changed(first, module.epochs[0]))
    assert {"encoder.0.weight", "encoder.1.weight", "encoder.1.running_mean"} <= changed(first, module.epochs[1])


@pytest.mark.parametrize("stop", [1, 2])
def test_a_resumed_run_equals_an_uninterrupted_one(tmp_path, stop):
    def seeded(**how):
        torch.manual_seed(5)
        return fit(tmp_path, Freeze(["encoder.*"], until_epoch=1), **how)

    nn.Dropout.forward, before = (lambda self, x: x), nn.Dropout.forward  # its random numbers are not part of this test
    try:
        whole = seeded()
        seeded(epochs=stop)
        rest = seeded(ckpt_path=tmp_path / f"{stop}.ckpt")
    finally:
        nn.Dropout.forward = before
    assert not changed(whole.epochs[-1], rest.epochs[-1])


@pytest.mark.parametrize(
    ("patterns", "message"),
    [
        (
            ["nothing.*", "encoder.*"],
            r"'nothing\.\*' matches none of the parameters, which are named e\.g\. encoder\.0\.weight; correct it",
        ),
        (["*"], "freezes the whole network; leave something to train"),
    ],
)
def test_useless_patterns_are_refused(tmp_path, patterns, message):
    with pytest.raises(UserError, match=message):
        fit(tmp_path, Freeze(patterns, until_epoch=None))


def test_until_epoch_is_refused_with_several_processes():
    class Two:
        world_size = 2

    with pytest.raises(UserError, match="until_epoch=1 works in one process only"):
        Freeze(["encoder.*"], until_epoch=1).setup(Two(), Line(), "fit")
