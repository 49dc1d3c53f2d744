"""`segment train`: train, test the best checkpoint, report."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytorch_lightning as pl
from hydra.core.hydra_config import HydraConfig
from hydra.types import RunMode
from hydra.utils import instantiate
from omegaconf import DictConfig

from segment import build
from segment.callbacks.interrupt import ending_well
from segment.checkpoint.load import check_epochs, check_resumable, read_checkpoint, steps_of
from segment.commands.command import hydra_command
from segment.configuration.check import checked
from segment.doctor.stored import check_labels
from segment.errors import UserError
from segment.forecast.preflight import preflight
from segment.loggers.columns import columns
from segment.loggers.metrics_csv import MetricsCSV
from segment.memory.network import activations, check_batch, check_step
from segment.memory.patch_size import check_patch_size
from segment.metrics.cases_csv import print_scores
from segment.run.ending import best_epoch, shortfalls, why_untested
from segment.run.finetune import all_seen, begin_from, keep_note, note_checkpoint, warn_of_memory
from segment.run.folder import Run
from segment.run.open_run import open_run
from segment.run.processes import place
from segment.run.record import record, record_use
from segment.run.repeat import repeated, tell_environment, tell_resumed, tell_scores
from segment.run.training_use import TrainingUse

log = logging.getLogger(__name__)


def train(cfg: DictConfig) -> float:
    """Run one experiment in its own folder.

    Everything that can be wrong with data and configuration is found before the first epoch.

    Returns:
        The best validation score of the monitored metric, for sweeps; NaN when no checkpoint was scored.
    """
    cfg = checked("train", cfg)  # from Python nobody has done so
    _refuse_parallel_sweep(cfg)
    if cfg.from_run:
        cfg = repeated(cfg)
    note_checkpoint(cfg)
    with ending_well(), open_run(cfg, "train.log") as here:
        if here.resumed:
            keep_note(cfg, here.folder)
        pl.seed_everything(cfg.seed, workers=True)
        parts = build.parts(cfg)
        try:
            _check(cfg, parts, here)
            if parts.trainer.is_global_zero:
                _record(cfg, parts, here)
            if cfg.preflight == "only":
                return float("nan")
            _begin_logging(parts.trainer, cfg, here)
            with _measured(parts.trainer, here):
                _fit_and_test(cfg, parts, here)
            return _best_score(parts.trainer)
        finally:
            build.close(parts.trainer)


def _check(cfg: DictConfig, parts: build.Parts, here: Run) -> None:
    """Find what cannot work, and note in the module what its checkpoints tell of the cases."""
    datamodule, module = parts.datamodule, parts.module
    device, dtype = parts.trainer.strategy.root_device, activations(str(parts.trainer.precision))
    check_batch(datamodule.batch_size, datamodule.patch_size, datamodule.num_workers)
    check_patch_size(module.net, datamodule.patch_size, datamodule.batch_size)
    check_step(module.net, datamodule.batch_size, datamodule.patch_size, device, dtype)
    if window := getattr(module.inferer, "patch_size", None):
        check_patch_size(module.net, window, 1, inference=True)
    for case in (*datamodule.split.val, *datamodule.split.test) if device.type == "cpu" else ():
        module.segmenter.check(datamodule.volumes[case.id].image.shape)
    hashes = datamodule.voxel_hashes()
    check_labels(datamodule.volumes.values(), instantiate(cfg.anatomy, _convert_="all"), cfg.label_check)
    module.checkpoint_metadata |= {"split": datamodule.split.ids(), "voxel_hashes": hashes}
    if here.checkpoint is not None:
        other_data = any(key.split(".")[0] in ("data", "split") for key in cfg.allow_changed)
        check_epochs(here.checkpoint, parts.trainer.max_epochs)
        check_resumable(here.checkpoint, module, other_data)
        learnt = read_checkpoint(here.checkpoint)["segment"]["split"].get("train", [])
        if moved := [case.id for case in datamodule.split.val if case.id in learnt and not datamodule.split.shared]:
            warn_of_memory("the run", moved)
        module.checkpoint_metadata["voxel_hashes"] = all_seen(here.checkpoint, str(here.checkpoint), datamodule)
    elif cfg.init_from:
        begin_from(cfg, module, datamodule)


def _record(cfg: DictConfig, parts: build.Parts, here: Run) -> None:
    """Write what the run is, and what it will take."""
    if cfg.preflight and here.resumed:  # a run that cannot go on keeps what is on record
        preflight(cfg, parts, here.folder, here.checkpoint)
    if cfg.preflight != "only":
        parameters = sum(weights.numel() for weights in parts.module.net.parameters())
        content = parts.datamodule.content() | {"parameters": parameters}
        record(here, cfg, parts.datamodule.split.ids(), content)
        if cfg.from_run:
            for sentence in tell_environment(Path(cfg.from_run), here.folder):
                log.warning("not as in %s: %s", cfg.from_run, sentence)
        if here.resumed:
            for sentence in tell_resumed(here.folder):
                log.warning("not as when the run was stopped: %s", sentence)
    if cfg.preflight and not here.resumed:
        preflight(cfg, parts, here.folder, here.checkpoint)


@contextmanager
def _measured(trainer: pl.Trainer, here: Run) -> Iterator[None]:
    """Record what a block that trains has used, however it ends, before the loggers are closed."""
    use = TrainingUse()
    trainer.callbacks.append(use)  # type: ignore[attr-defined]
    try:
        yield
    finally:
        if trainer.is_global_zero:
            record_use(here, use.so_far())


def _fit_and_test(cfg: DictConfig, parts: build.Parts, here: Run) -> None:
    """Train, test the best checkpoint, and print the scores."""
    datamodule, module, trainer = parts.datamodule, parts.module, parts.trainer
    steps_before = steps_of(here.checkpoint) if here.checkpoint else 0  # the file is replaced meanwhile
    trainer.fit(module, datamodule=datamodule, ckpt_path=here.checkpoint, weights_only=True)
    for sentence in shortfalls(trainer, steps_before):
        log.warning("%s", sentence)
    log.info("%s", best_epoch(trainer))
    untested = why_untested(trainer, datamodule.split) if cfg.test else None
    if untested:
        log.warning("%s", untested)
    elif cfg.test:
        best = trainer.checkpoint_callback.best_model_path  # type: ignore[union-attr]
        trainer.test(module, datamodule=datamodule, ckpt_path=best, weights_only=True, verbose=False)
    if not trainer.is_global_zero:
        return
    table = here.folder / "cases.csv"
    print_scores(table)
    if cfg.from_run:
        before = Path(cfg.from_run) / "cases.csv"
        both = before.exists() and table.exists()
        print(tell_scores(before, table) if both else "there are no test scores to compare")
    print(f"run folder: {here.folder}")


def _begin_logging(trainer: pl.Trainer, cfg: DictConfig, here: Run) -> None:
    """Give every logger the configuration and drop rows that a resumed run will write again."""
    for logger in trainer.loggers:
        logger.log_hyperparams(columns(cfg))
        if isinstance(logger, MetricsCSV):
            logger.forget_from(steps_of(here.checkpoint) if here.checkpoint else 0)


def _best_score(trainer: pl.Trainer) -> float:
    score = getattr(trainer.checkpoint_callback, "best_model_score", None)
    return float("nan") if score is None else float(score)


def _refuse_parallel_sweep(cfg: DictConfig) -> None:
    """A sweep in one process cannot start processes per job: each would begin the whole sweep anew (hydra #2070)."""
    if HydraConfig.initialized() and HydraConfig.get().mode == RunMode.MULTIRUN and place() is None:
        devices = cfg.trainer.get("devices", 1)
        if devices not in (1, "1", [0]):
            msg = (
                f"trainer.devices={devices} needs as many processes for each job of a sweep; add hydra/launcher=slurm, "
                f"or hydra/launcher=submitit_local hydra.launcher.tasks_per_node={devices} without a cluster"
            )
            raise UserError(msg)


main = hydra_command("train")(train)

if __name__ == "__main__":
    main()
