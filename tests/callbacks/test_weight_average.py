import copy

import pytest
import pytorch_lightning as pl
import torch
from torch import nn
from torch.utils.data import DataLoader

from segment.callbacks.checkpoint import AtomicCheckpointIO, RelativeCheckpoint
from segment.callbacks.weight_average import EMA, SWA
from segment.errors import UserError

pytestmark = [
    pytest.mark.filterwarnings("ignore:The '.*_dataloader' does not have many workers"),
    pytest.mark.filterwarnings("ignore:The `srun` command is available"),
    pytest.mark.filterwarnings("ignore:Checkpoint directory .* exists and is not empty"),
]


class Line(pl.LightningModule):
    """A linear layer with batch normalisation; stores the weights at validation and test."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.net = nn.Sequential(nn.BatchNorm1d(1), nn.Linear(1, 1))
        self.scored, self.tested = [], []

    def weights(self):
        return {name: value.clone() for name, value in self.net.state_dict().items()}

    def training_step(self, batch, batch_idx):
        return (self.net(batch) - 3).square().mean()

    def validation_step(self, batch, batch_idx):
        self.scored.append(self.weights())
        self.log("score", float(self.current_epoch))

    def test_step(self, batch, batch_idx):
        self.tested.append(self.weights())

    def configure_optimizers(self):
        return torch.optim.SGD(self.parameters(), lr=0.1)


class Watch(pl.Callback):
    """Stores the weights after every step, before the average replaces them."""

    def __init__(self):
        self.trained = []

    def on_train_batch_end(self, trainer, pl_module, *_):
        self.trained.append(pl_module.weights())


def fit(folder, average, epochs=4, ckpt_path=None, steps=3):
    module, watch = Line(), Watch()
    checkpoint = RelativeCheckpoint(
        folder,
        "best",
        monitor="score",
        mode="max",
        save_on_train_epoch_end=True,
        enable_version_counter=False,
        auto_insert_metric_name=False,
    )
    trainer = pl.Trainer(
        accelerator="cpu",
        max_epochs=epochs,
        callbacks=[watch, average, checkpoint],
        plugins=[AtomicCheckpointIO()],
        logger=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        num_sanity_val_steps=0,
        default_root_dir=folder,
    )
    data = torch.randn(4 * steps, 1, generator=torch.Generator().manual_seed(1))
    loaders = DataLoader(data, batch_size=4), DataLoader(data, 4 * steps)
    trainer.fit(module, *loaders, ckpt_path=ckpt_path, weights_only=True)
    return trainer, module, watch


def assert_near(one, other):
    assert one.keys() == other.keys()
    for name, value in one.items():
        assert torch.allclose(value, other[name], atol=1e-5), name


def test_ema_equals_its_formula(tmp_path):
    _, module, watch = fit(tmp_path, EMA(decay=0.6))
    average = watch.trained[0]
    scored = []
    for count, weights in enumerate(watch.trained[1:], start=1):
        kept = min(0.6, (1 + count) / (10 + count))
        average = {
            name: kept * average[name] + (1 - kept) * value if value.is_floating_point() else value
            for name, value in weights.items()
        }
        if (count + 1) % 3 == 0:
            scored.append(average)
    for found, expected in zip(module.scored, scored, strict=True):
        assert_near(found, expected)


def test_the_average_of_constant_weights_is_exact():
    average = EMA(0.999)
    average._average_model = torch.optim.swa_utils.AveragedModel(nn.Linear(2, 2), use_buffers=True, **average._kwargs)
    net = copy.deepcopy(average._average_model.module)
    for _ in range(50):
        average._average_model.update_parameters(net)
    assert torch.equal(average._average_model.module.weight, net.weight)


def test_swa_is_the_mean_of_the_weights_after_the_last_epochs(tmp_path):
    _, module, watch = fit(tmp_path, SWA(start=0.5))
    ends = watch.trained[2::3]
    mean = {name: (ends[2][name] + ends[3][name]) / 2 for name in ends[3]}
    mean["0.num_batches_tracked"] = ends[3]["0.num_batches_tracked"]
    for found, expected in zip(module.scored, [*ends[:3], mean], strict=True):
        assert_near(found, expected)


@pytest.mark.parametrize("make", [lambda: EMA(0.9), lambda: SWA(0.25)])
def test_the_validated_weights_are_saved_and_tested(tmp_path, make):
    trainer, module, _ = fit(tmp_path, make())
    best = torch.load(tmp_path / "best.ckpt", weights_only=True)
    saved = {name.removeprefix("net."): value for name, value in best["state_dict"].items()}
    assert_near(saved, module.scored[-1])
    assert not torch.allclose(best["current_model_state"]["net.1.bias"], saved["1.bias"])
    data = DataLoader(torch.zeros(2, 1))
    trainer.test(module, data, ckpt_path=str(tmp_path / "best.ckpt"), weights_only=True, verbose=False)
    assert_near(module.tested[-1], module.scored[-1])


@pytest.mark.parametrize("make", [lambda: EMA(0.9), lambda: SWA(0.25)])
def test_a_resumed_run_equals_an_uninterrupted_one(tmp_path, make):
    fit(tmp_path / "whole", make())
    # Half of two epochs and a quarter of four are the same epoch.
    fit(tmp_path / "half", make() if isinstance(make(), EMA) else SWA(0.5), epochs=2)
    fit(tmp_path / "half", make(), ckpt_path=tmp_path / "half" / "best.ckpt")
    one, other = (torch.load(tmp_path / name / "best.ckpt", weights_only=True) for name in ("whole", "half"))
    assert one["epoch"] == other["epoch"] == 3
    for part in ("state_dict", "current_model_state", "averaging_state"):
        assert all(torch.equal(value, other[part][name]) for name, value in one[part].items()), part


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: EMA(1.0), "decay must be a number from 0 to 1, but not 1, got 1.0"),
        (lambda: EMA(-0.1), "decay must be .* got -0.1"),
        (lambda: SWA(1.0), "start must be a number from 0 to 1, but not 1, got 1.0"),
        (lambda: SWA(-1), "start must be .* got -1"),
    ],
)
def test_values_out_of_range_are_refused(make, message):
    with pytest.raises(UserError, match=message):
        make()


def test_swa_without_max_epochs_is_refused_before_the_first_step(tmp_path, monkeypatch):
    monkeypatch.setattr(Line, "training_step", lambda *_: pytest.fail("a step was trained"))
    with pytest.raises(UserError, match=r"share of trainer\.max_epochs=-1"):
        fit(tmp_path, SWA(0.5), epochs=-1)
