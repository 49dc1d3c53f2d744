"""`segment train`: train a network, test its best checkpoint, and print the scores."""

import logging
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
from omegaconf import DictConfig

from segment import build
from segment.callbacks.interrupt import exit_on_signals
from segment.checkpoint.resumable import steps_of
from segment.commands.command import hydra_command
from segment.commands.pages import run_page_at_end
from segment.configuration.check import validate_config
from segment.configuration.instantiate import instantiate
from segment.doctor.stored import check_labels
from segment.forecast.preflight import preflight
from segment.loggers.columns import columns
from segment.loggers.metrics_csv import MetricsCSV
from segment.metrics.cases_csv import print_scores
from segment.run.checks import check_memory, check_monitored, check_resumed
from segment.run.ending import best_epoch, shortfalls, why_untested
from segment.run.finetune import check_repeated, checksum, load_initial_weights
from segment.run.folder import Run
from segment.run.lightning_warnings import without_known_warnings
from segment.run.open_run import in_folder, open_run
from segment.run.processes import refuse_parallel_sweep
from segment.run.record import record, record_use
from segment.run.repeat import compare_scores, environment_differences, repeated_config, resume_differences
from segment.run.resume import Facts, recorded_facts
from segment.run.training_resources import TrainingResources

log = logging.getLogger(__name__)


def train(cfg: DictConfig) -> float:
    """Train one network in its own run folder.

    Errors in data and configuration are found before the first epoch.

    Returns:
        The best validation score of the monitored metric, for sweeps; NaN when no checkpoint was scored.
    """
    cfg = validate_config("train", cfg)  # the command has done this, but a caller in Python has not
    refuse_parallel_sweep(cfg.trainer)
    if cfg.from_run:
        cfg = repeated_config(cfg)
    facts = {"init_sha256": checksum(cfg)} if cfg.init_from else {}
    if cfg.from_run and cfg.init_from:
        check_repeated(cfg, facts["init_sha256"])
    with exit_on_signals(), open_run(cfg, "train.log", facts) as run:
        cfg, facts = in_folder(cfg, run), _known_facts(facts, run)
        pl.seed_everything(cfg.seed, workers=True)
        parts = build.parts(cfg)
        parts.module.checkpoint_metadata["trained"] |= facts
        try:
            _check(cfg, parts, run)
            if parts.trainer.is_global_zero:
                _record(cfg, parts, run, facts)
            if cfg.preflight == "only":
                return float("nan")
            _start_logging(parts.trainer, columns(cfg) | facts, run)
            with _measured(parts.trainer, run):
                _fit_and_test(cfg, parts, run)
            if parts.trainer.is_global_zero:
                run_page_at_end(cfg.page, run.folder)
            return _best_score(parts.trainer)
        finally:
            build.close(parts.trainer)


def _known_facts(facts: Facts, run: Run) -> dict[str, Any]:
    """Facts of this call; a fact that is None, because a file no longer exists, is taken from the resumed run."""
    recorded = recorded_facts(run.folder) if run.resumed else {}
    known = {}
    for key, value in facts.items():
        found = recorded.get(key) if value is None else value
        if found is not None:
            known[key] = found
    return known


def _check(cfg: DictConfig, parts: build.Parts, run: Run) -> None:
    """Check sizes and labels, and add split and voxel hashes to the metadata of the checkpoints."""
    datamodule, module = parts.datamodule, parts.module
    check_memory(datamodule, module, parts.trainer)
    check_monitored(datamodule, parts.trainer)
    hashes = datamodule.voxel_hashes()
    check_labels(datamodule.volumes.values(), instantiate(cfg.anatomy), cfg.label_check)
    module.checkpoint_metadata |= {"split": datamodule.split.ids(), "voxel_hashes": hashes}
    if run.checkpoint is not None:
        check_resumed(run.checkpoint, cfg.allow_changed, datamodule, module, parts.trainer.max_epochs)
    elif cfg.init_from:
        load_initial_weights(cfg, module, datamodule)


def _record(cfg: DictConfig, parts: build.Parts, run: Run, facts: Facts) -> None:
    """Write the run record, and measure in a pre-flight what the run will need."""
    if cfg.preflight and run.resumed:  # first, so that a failing pre-flight leaves the existing record unchanged
        preflight(cfg, parts, run.folder, run.checkpoint)
    if cfg.preflight != "only":
        parameters = sum(weights.numel() for weights in parts.module.net.parameters())
        content = parts.datamodule.content() | {"parameters": parameters}
        record(run, cfg, parts.datamodule.split.ids(), content, facts)
        if cfg.from_run:
            for sentence in environment_differences(Path(cfg.from_run), run.folder):
                log.warning("not as in %s: %s", cfg.from_run, sentence)
        if run.resumed:
            for sentence in resume_differences(run.folder):
                log.warning("not as when the run was stopped: %s", sentence)
    if cfg.preflight and not run.resumed:
        preflight(cfg, parts, run.folder, run.checkpoint)


@contextmanager
def _measured(trainer: pl.Trainer, run: Run) -> Iterator[None]:
    """Record time and memory of a block that trains, also when it fails, before the loggers are closed."""
    use = TrainingResources()
    trainer.callbacks.append(use)  # type: ignore[attr-defined]
    try:
        yield
    finally:
        if trainer.is_global_zero:
            record_use(run, use.measured())


def _fit_and_test(cfg: DictConfig, parts: build.Parts, run: Run) -> None:
    """Train, test the best checkpoint, and print the scores."""
    datamodule, module, trainer = parts.datamodule, parts.module, parts.trainer
    steps_before = steps_of(run.checkpoint) if run.checkpoint else 0  # training will overwrite the file
    with without_known_warnings():
        trainer.fit(module, datamodule=datamodule, ckpt_path=run.checkpoint, weights_only=True)
    for sentence in shortfalls(trainer, steps_before):
        log.warning("%s", sentence)
    log.info("%s", best_epoch(trainer))
    untested = why_untested(trainer, datamodule.split) if cfg.test else None
    if untested:
        log.warning("%s", untested)
    elif cfg.test:
        best = trainer.checkpoint_callback.best_model_path  # type: ignore[union-attr]
        with without_known_warnings():
            trainer.test(module, datamodule=datamodule, ckpt_path=best, weights_only=True, verbose=False)
    if not trainer.is_global_zero:
        return
    table = run.folder / "cases.csv"
    print_scores(table)
    if cfg.from_run:
        before = Path(cfg.from_run) / "cases.csv"
        if before.exists() and table.exists():
            print(compare_scores(before, table))
        else:
            print("there are no test scores to compare")
    print(f"run folder: {run.folder}")


def _start_logging(trainer: pl.Trainer, hyperparameters: Mapping[str, Any], run: Run) -> None:
    """Log the configuration, and drop the rows that a resumed run will write again."""
    for logger in trainer.loggers:
        logger.log_hyperparams(dict(hyperparameters))
        if isinstance(logger, MetricsCSV):
            logger.truncate(steps_of(run.checkpoint) if run.checkpoint else 0)


def _best_score(trainer: pl.Trainer) -> float:
    score = getattr(trainer.checkpoint_callback, "best_model_score", None)
    return float("nan") if score is None else float(score)


main = hydra_command("train")(train)

if __name__ == "__main__":
    main()
