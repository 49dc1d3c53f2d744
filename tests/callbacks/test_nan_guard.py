import pytest
import pytorch_lightning as pl
import torch
from torch import nn
from torch.utils.data import DataLoader

from segment.callbacks.nan_guard import NaNGuard
from segment.errors import UserError

pytestmark = [
    pytest.mark.filterwarnings("ignore:The '.*_dataloader' does not have many workers"),
    pytest.mark.filterwarnings("ignore:The `srun` command is available"),
]


class Line(pl.LightningModule):
    """The loss is not finite if the image is not; the gradient is not finite if the image is 0."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.net = nn.Linear(1, 1)
        self.kept = None

    def training_step(self, batch, batch_idx):
        self.kept = {name: value.clone() for name, value in self.state_dict().items()}
        image = batch["image"]["data"]
        # sqrt(0·w) is 0 with an infinite derivative.
        return self.net(image).square().mean() + (image * self.net.weight.abs()).sqrt().sum() * 1e-3

    def configure_optimizers(self):
        return torch.optim.SGD(self.parameters(), lr=0.01)


def fit(folder, values):
    """Train on batches of one value each; return the module. Its `kept` holds the weights before the last step."""
    module = Line()
    batches = [
        {"image": {"data": torch.tensor([[value]]), "path": "x"}, "annotated": torch.ones(1, 2), "case": [f"set/{n}"]}
        for n, value in enumerate(values)
    ]
    trainer = pl.Trainer(
        accelerator="cpu",
        max_epochs=2,
        callbacks=[NaNGuard(folder / "nan")],
        logger=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        enable_checkpointing=False,
        default_root_dir=folder,
    )
    try:
        trainer.fit(module, DataLoader(batches, batch_size=None))
    finally:
        module.end = {name: value.clone() for name, value in module.state_dict().items()}
    return module


def test_a_finite_run_writes_no_file(tmp_path):
    fit(tmp_path, [1.0, 2.0])
    assert not (tmp_path / "nan").exists()


@pytest.mark.parametrize(("value", "what"), [(float("nan"), "loss"), (float("inf"), "loss"), (0.0, "gradient")])
def test_a_nonfinite_loss_or_gradient_stops_the_run_and_saves_the_batch(tmp_path, value, what):
    path = tmp_path / "nan" / "epoch_0_batch_2.pt"
    with pytest.raises(UserError) as info:
        fit(tmp_path, [1.0, 2.0, value, 3.0])
    assert str(info.value).startswith(
        f"the {what} of epoch 0, batch 2 (step 2, set/2) is not finite; the batch and the"
    )
    assert f"are in {path};" in str(info.value)
    kept = torch.load(path, weights_only=True)
    assert kept["batch"]["image"]["data"].tolist() == [[pytest.approx(value, nan_ok=True)]]
    assert kept["batch"]["case"] == ["set/2"]
    assert (kept["epoch"], kept["batch_idx"], kept["step"], kept["what"]) == (0, 2, 2, what)
    assert [p.name for p in path.parent.iterdir()] == [path.name]


def test_the_saved_weights_are_from_before_the_step(tmp_path, monkeypatch):
    modules = []
    init = Line.__init__
    monkeypatch.setattr(Line, "__init__", lambda self: (init(self), modules.append(self))[0])
    for value in (float("nan"), 0.0):
        with pytest.raises(UserError):
            fit(tmp_path, [1.0, value])
        (path,) = (tmp_path / "nan").iterdir()
        kept = torch.load(path, weights_only=True)["state_dict"]
        for weights in (modules[-1].kept, modules[-1].end):  # the weights did not change
            assert all(torch.equal(value, weights[name]) for name, value in kept.items())
        assert all(torch.isfinite(value).all() for value in kept.values())
