"""The private attributes of Lightning that this package uses, each in one function.

Lightning has no public way to do these things. When you upgrade it, check this file.
"""

import pytorch_lightning as pl
from pytorch_lightning.callbacks import EarlyStopping, ModelCheckpoint, WeightAveraging
from torch.optim.swa_utils import AveragedModel


def save_after_epoch(checkpoint: ModelCheckpoint) -> None:
    """Save at the end of training epochs, unless the constructor was given another choice."""
    if checkpoint._save_on_train_epoch_end is None:
        checkpoint._save_on_train_epoch_end = True


def check_after_validation(early_stopping: EarlyStopping) -> None:
    """Check at the end of validations, unless the constructor was given another choice."""
    if early_stopping._check_on_train_epoch_end is None:
        early_stopping._check_on_train_epoch_end = False


def averaged_model(averaging: WeightAveraging) -> AveragedModel:
    """The averaged copy of the network, which exists once `setup` has run."""
    assert averaging._average_model is not None
    return averaging._average_model


def discard_train_loader(trainer: pl.Trainer) -> None:
    """Let Lightning build the training loader again when training starts."""
    trainer.fit_loop._combined_loader = None
