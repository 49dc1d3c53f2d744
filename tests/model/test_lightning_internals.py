import pytest
import pytorch_lightning as pl
import torch
from pytorch_lightning.callbacks import EarlyStopping, ModelCheckpoint, WeightAveraging

from segment.model.lightning_internals import averaged_model, check_after_validation, save_after_epoch


@pytest.mark.parametrize(
    ("make", "name"),
    [
        (ModelCheckpoint, "_save_on_train_epoch_end"),
        (lambda: EarlyStopping("val/loss"), "_check_on_train_epoch_end"),
        (WeightAveraging, "_average_model"),
        (lambda: pl.Trainer(accelerator="cpu", logger=False).fit_loop, "_combined_loader"),
    ],
)
def test_this_version_of_lightning_has_the_private_attribute(make, name):
    assert hasattr(make(), name), f"Lightning has renamed or removed {name}: adapt segment/model/lightning_internals.py"


@pytest.mark.parametrize("choice", [None, False, True])
def test_a_checkpoint_is_saved_after_the_epoch_unless_the_constructor_chose_otherwise(choice):
    checkpoint = ModelCheckpoint(save_on_train_epoch_end=choice)
    save_after_epoch(checkpoint)
    expected = True if choice is None else choice
    assert checkpoint.state_key == ModelCheckpoint(save_on_train_epoch_end=expected).state_key


@pytest.mark.parametrize("choice", [None, False, True])
def test_early_stopping_checks_after_validation_unless_the_constructor_chose_otherwise(choice):
    stopping = EarlyStopping("val/loss", check_on_train_epoch_end=choice)
    check_after_validation(stopping)
    assert stopping._check_on_train_epoch_end is bool(choice)


def test_the_averaged_model_has_the_parameters_of_the_network():
    class Module(pl.LightningModule):
        def __init__(self):
            super().__init__()
            self.net = torch.nn.Linear(1, 2)

    averaging, module = WeightAveraging(), Module()
    averaging.setup(pl.Trainer(accelerator="cpu", logger=False), module, "fit")
    average = averaged_model(averaging).module.net
    assert torch.equal(average.weight, module.net.weight)
    assert average.weight is not module.net.weight
