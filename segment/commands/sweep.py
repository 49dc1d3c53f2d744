"""`segment sweep`: search for the best settings of a training, one process per trial."""

import json
import logging
import sys
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

from omegaconf import DictConfig, OmegaConf
from optuna.trial import FrozenTrial

from segment.commands.command import hydra_command
from segment.commands.pages import page_at_end, write_safely
from segment.configuration.arguments import quoted
from segment.configuration.check import validate_config
from segment.configuration.composition import compose_config, spellings
from segment.configuration.instantiate import instantiate
from segment.configuration.values import portable, with_values
from segment.errors import UserError
from segment.files import write_text
from segment.privacy import without_paths
from segment.run.open_run import open_run
from segment.run.processes import clear_launcher_variables
from segment.search.options import check_budget, check_not_reserved, read_direction
from segment.search.propose import Method
from segment.search.report import Report
from segment.search.resources import Clock, machine_slots
from segment.search.resume_sweep import FACTS, resumed, sweep_in_named_folder
from segment.search.space import Space, examples, override, read_space
from segment.search.study import Search
from segment.search.trial import Training
from segment.search.trials_table import best_trial, print_table, write_yaml
from segment.search.wandb_sweep import wandb_sweep
from segment.search.worker import Worker
from segment.view.page.sweep import write_sweep_page

log = logging.getLogger(__name__)

STOPPED = 143
TRAIN = (sys.executable, "-m", "segment.commands.train")


def sweep(cfg: DictConfig) -> float:
    """Run trials of a search until its budget is used up. Several workers can share the folder.

    Returns:
        The best value.

    Raises:
        UserError: When the settings cannot be trained, the folder holds another search, or no trial has finished.
    """
    clear_launcher_variables()  # `srun --ntasks=4 segment sweep` means four workers
    with ExitStack() as startup_lock:
        if cfg.resume is True:  # if several workers start at once, the first starts the sweep and the others join it
            cfg = with_values(cfg, resume=startup_lock.enter_context(sweep_in_named_folder()))
        cfg, facts = resumed(cfg)
        check_budget(cfg.trials, cfg.hours)
        space = read_space(OmegaConf.to_container(cfg.space, resolve=True))  # type: ignore[arg-type]
        given = _trial_overrides(cfg, facts["searchpath"])
        overrides = [*given, f"output_dir={quoted(cfg.output_dir)}"]
        check_not_reserved([*cfg.overrides, *space])
        train = _trial_config(overrides, space)
        method = _method(cfg, space, train)
        with open_run(cfg, "sweep.log", shared=True) as run:
            if train.logger.get("wandb"):
                overrides.append(f"logger.wandb.group={quoted(_group(train, run.folder))}")
            training = _training(cfg, overrides, train)
            if not run.resumed:
                same_in_wandb = wandb_sweep(space, given, training.monitor, method.direction, cfg.trials)
                write_yaml(run.folder / "wandb_sweep.yaml", same_in_wandb)
                write_text(run.folder / FACTS, json.dumps(without_paths(facts), indent=1))
                write_text(run.folder / "config.yaml", OmegaConf.to_yaml(OmegaConf.create(portable(cfg))))
            startup_lock.close()
            report = Report(Search(run.folder, method), training.monitor, given)
            stopped = _run_trials(cfg, report, training)
            return _finish(report, train, stopped, cfg.page)


def _trial_overrides(cfg: DictConfig, searchpath: Sequence[str]) -> list[str]:
    """Arguments of every trial that the user has chosen."""
    folders = ",".join(map(quoted, searchpath))
    own = [f"hydra.searchpath=[{folders}]"] if folders else []
    return [*own, *cfg.overrides]


def _trial_config(overrides: list[str], space: Space) -> DictConfig:
    """The configuration of a trial. Composes several trials, to report errors before the first trial starts."""
    for params in examples(space):
        arguments = [*overrides, *(override(key, value) for key, value in params.items())]
        cfg = validate_config("train", compose_config("train", arguments), spellings(arguments))
    if not cfg.logger.get("csv"):
        msg = "a search reads metrics.csv; keep logger=csv among the overrides' loggers"
        raise UserError(msg)
    return cfg


def _method(cfg: DictConfig, space: Space, train: DictConfig) -> Method:
    best = train.callbacks.get("checkpoint") or {}
    direction = read_direction(cfg.monitor or train.monitor, cfg.direction, best.get("monitor"), best.get("mode"))
    sampler = instantiate(cfg.sampler)
    try:
        sampler(seed=cfg.seed)
    except (TypeError, ValueError) as error:
        msg = f"sampler must be _partial_ and take a seed: {error}"
        raise UserError(msg) from error
    return Method(space, direction, sampler, instantiate(cfg.pruner), cfg.seed)


def _training(cfg: DictConfig, overrides: list[str], train: DictConfig) -> Training:
    return Training(
        command=TRAIN,
        overrides=overrides,
        monitor=cfg.monitor or train.monitor,
        seeds=range(cfg.seed, cfg.seed + cfg.seeds),
        limit_s=None if cfg.trial_hours is None else 3600 * cfg.trial_hours,
    )


def _group(train: DictConfig, folder: Path) -> str:
    """The W&B group of the trials; jobs of a grid have a group of the same form."""
    return f"{train.task}/{folder.name}"


def _run_trials(cfg: DictConfig, report: Report, training: Training) -> bool:
    """Run trials until the budget is used up; return whether a signal stopped them."""
    clock = Clock(report.search.folder / "clock.json", cfg.hours)

    def on_trial_end(trial: FrozenTrial) -> None:
        report.on_trial_end(trial)
        if cfg.page:  # a search takes hours, and its page shows how far it is
            write_safely(report.search.folder, write_sweep_page)

    return Worker(report.search, training, machine_slots(cfg.workers), cfg.trials, clock, on_trial_end).run()


def _finish(report: Report, train: DictConfig, stopped: bool, page: bool) -> float:
    """Write the report and the page, print the trials and return the best value; NaN if no trial has finished."""
    report.write()
    trials, folder = report.search.trials(), report.search.folder
    print_table(trials, report.monitor, report.search.method.direction)
    print(f"sweep folder: {folder}")
    page_at_end(page, folder, write_sweep_page)
    if stopped:
        log.warning("stopped; continue by segment sweep resume=%s", folder)
        sys.exit(STOPPED)
    running = sum(not trial.state.is_finished() for trial in trials)
    if running:
        log.info("%d trials have not finished: another worker runs them, or resume=%s will", running, folder)
    elif trials and train.logger.get("wandb"):
        own = {"name": "sweep", "group": _group(train, folder), "job_type": "sweep"}
        logger = with_values(train, run_dir=str(folder)).logger.wandb
        report.log_to_wandb(instantiate(logger, **own))
    best = best_trial(trials, report.search.method.direction)
    if best is None and trials and not running:
        msg = f"none of {len(trials)} trials has finished; trial 0: {trials[0].user_attrs.get('why')}"
        raise UserError(msg)
    return float("nan") if best is None or best.value is None else best.value


main = hydra_command("sweep")(sweep)

if __name__ == "__main__":
    main()
