"""What training needs of Lightning's trainer, whatever configuration it has."""

from omegaconf import DictConfig

from segment.errors import UserError

# Set in code: exact resume and several processes rely on them. Beside each, what another value would do.
NEEDED = {
    "reload_dataloaders_every_n_epochs": (1, "would train every epoch on the same patches"),
    "use_distributed_sampler": (False, "would share out again what each process has its share of already"),
    "num_sanity_val_steps": (0, "would validate before the first epoch; preflight=true tries everything once"),
}


def check_length(trainer: DictConfig) -> None:
    """Refuse what Lightning does not resume exactly.

    Resumed from a checkpoint just before it, a run would leave out a validation within an epoch; with a number of
    steps as its length it would log some of them twice.

    Raises:
        UserError: With what to do instead.
    """
    if trainer.get("max_steps") not in (None, -1):
        msg = (
            f"trainer.max_steps={trainer.max_steps} ends a run within an epoch, where no resume is exact; "
            "remove it, and give trainer.max_epochs, and data.patches_per_epoch as their length"
        )
        raise UserError(msg)
    interval = trainer.get("val_check_interval")
    if interval is not None and (interval != 1 or isinstance(interval, int)):  # 1 would be every batch
        msg = f"trainer.val_check_interval={interval} validates within an epoch; lower data.patches_per_epoch instead"
        raise UserError(msg)


def check_needed(trainer: DictConfig) -> None:
    """Refuse settings of the trainer that are not the configuration's to choose.

    Raises:
        UserError: With what the value would do.
    """
    for name, (value, consequence) in NEEDED.items():
        if trainer.get(name, value) != value:
            msg = f"trainer.{name}={trainer[name]} {consequence}; remove it"
            raise UserError(msg)
