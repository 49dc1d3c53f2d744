"""Refuse options of the trainer that this package sets itself, and lengths that Lightning cannot resume exactly."""

from omegaconf import DictConfig

from segment.errors import UserError

# Resuming exactly and training with several processes rely on these values. The text says what another value would do.
FIXED = {
    "reload_dataloaders_every_n_epochs": (1, "would train every epoch on the same patches"),
    "use_distributed_sampler": (False, "would split each process's share of the cases a second time"),
    "overfit_batches": (0.0, "would replace the sampler of the patches; experiment=overfit trains on one case"),
    "num_sanity_val_steps": (0, "would validate before the first epoch, as preflight=true already does"),
}


def check_length(trainer: DictConfig) -> None:
    """Refuse a training length that Lightning cannot resume exactly, or that ends before the first validation.

    A run that is resumed from a checkpoint just before a validation within an epoch would skip this validation. A run
    with a length in steps would log some of them twice.

    Raises:
        UserError: When there is one; the message states what to set instead.
    """
    if trainer.get("max_steps") not in (None, -1):
        msg = (
            f"trainer.max_steps={trainer.max_steps} ends a run within an epoch, where it cannot be resumed exactly; "
            "remove it; set trainer.max_epochs, and the length of an epoch with data.patches_per_epoch"
        )
        raise UserError(msg)
    every, epochs = trainer.get("check_val_every_n_epoch") or 1, trainer.get("max_epochs")
    if epochs is not None and 0 < epochs < every:
        msg = (
            f"trainer.check_val_every_n_epoch={every}, but trainer.max_epochs={epochs}, so no epoch would be validated "
            f"and none could be the best; set at most check_val_every_n_epoch={epochs}"
        )
        raise UserError(msg)
    interval = trainer.get("val_check_interval")
    if interval is not None and (interval != 1 or isinstance(interval, int)):  # the integer 1 means every batch
        msg = f"trainer.val_check_interval={interval} validates within an epoch; lower data.patches_per_epoch instead"
        raise UserError(msg)


def check_fixed(trainer: DictConfig) -> None:
    """Refuse other values of the options in `FIXED`.

    Raises:
        UserError: When one of them has another value; the message states what this value would do.
    """
    for name, (value, consequence) in FIXED.items():
        if trainer.get(name, value) != value:
            msg = f"trainer.{name}={trainer[name]} {consequence}; remove it"
            raise UserError(msg)
