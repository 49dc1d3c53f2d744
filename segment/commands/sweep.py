"""`segment sweep`: search for the best settings of a training, one process per trial."""

import logging
import os
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import torch
from hydra.core.hydra_config import HydraConfig
from hydra.utils import instantiate
from omegaconf import DictConfig, OmegaConf

from segment.commands.command import hydra_command
from segment.configuration.check import checked
from segment.configuration.composition import composed, spellings
from segment.configuration.values import portable
from segment.errors import UserError
from segment.files import write_text
from segment.run.open_run import open_run
from segment.run.processes import stand_alone
from segment.search.clock import Clock
from segment.search.goal import read_direction
from segment.search.lock import held
from segment.search.preconditions import check_budget, check_free
from segment.search.propose import Method
from segment.search.report import Report
from segment.search.slots import DEVICES, slots
from segment.search.space import Space, override, quoted, read_space, some
from segment.search.study import Search
from segment.search.trial import Training
from segment.search.trials_table import best_trial, print_table, write_yaml
from segment.search.wandb_sweep import wandb_sweep
from segment.search.worker import Worker

log = logging.getLogger(__name__)

STOPPED = 143
TRAIN = (sys.executable, "-m", "segment.commands.train")


def sweep(cfg: DictConfig) -> float:
    """Work on a search in its folder until its budget is used up.

    Returns:
        The best value.

    Raises:
        UserError: When the settings cannot be trained, another search is in the folder, or no trial has finished.
    """
    stand_alone()  # `srun --ntasks=4 segment sweep` means four workers
    with ExitStack() as beginning:
        if cfg.resume is True:  # of several that begin at once, the first begins and the others join
            cfg.resume = beginning.enter_context(_begun_in_named_folder())
        cfg = _taken_up(cfg)
        check_budget(cfg.trials, cfg.hours)
        space = read_space(OmegaConf.to_container(cfg.space, resolve=True))  # type: ignore[arg-type]
        given = _given(cfg)
        overrides = [*given, f"output_dir={quoted(cfg.output_dir)}"]
        check_free([*cfg.overrides, *space])
        train = _composed(overrides, space)
        method = _method(cfg, space, train)
        with open_run(cfg, "sweep.log", shared=True) as here:
            if train.logger.get("wandb"):
                overrides.append(f"logger.wandb.group={quoted(_group(train, here.folder))}")
            training = _training(cfg, overrides, train)
            if not here.resumed:
                theirs = wandb_sweep(space, given, training.monitor, method.direction, cfg.trials)
                write_yaml(here.folder / "wandb_sweep.yaml", theirs)
                write_text(here.folder / "config.yaml", OmegaConf.to_yaml(OmegaConf.create(portable(cfg))))
            beginning.close()
            report = Report(Search(here.folder, method), training.monitor, given)
            stopped = _work(cfg, report, training)
            return _end(report, train, stopped)


@contextmanager
def _begun_in_named_folder() -> Iterator[str | bool]:
    """What resume=true means for the folder that the command names: it, or false while nothing has begun there.

    No other process of the same command begins while the block runs.
    """
    if not any(argument.startswith("hydra.run.dir=") for argument in HydraConfig.get().overrides.hydra):
        msg = "resume=true does not name a sweep; give hydra.run.dir=<folder>, or resume=<folder>"
        raise UserError(msg)
    folder = Path(HydraConfig.get().runtime.output_dir)
    with held(folder / ".begin.lock"):
        yield str(folder) if _is_sweep(folder) else False


def _is_sweep(folder: Path) -> bool:
    path = folder / "config.yaml"
    return path.exists() and "space" in OmegaConf.load(path)


def _taken_up(cfg: DictConfig) -> DictConfig:
    """The configuration of the sweep that is resumed, where the command names only its folder and a budget."""
    cfg.searchpath = _searchpath()
    given = {argument.partition("=")[0].lstrip("+~") for argument in HydraConfig.get().overrides.task}
    if cfg.resume is not False:
        folder = Path(str(cfg.resume))
        if not _is_sweep(folder):
            msg = f"resume={cfg.resume} is not a sweep's folder; name one, e.g. outputs/quick/sweeps/<date_time>"
            raise UserError(msg)
        if given <= {"resume", *cfg.allow_changed}:
            before = OmegaConf.load(folder / "config.yaml")
            if not before.complete:
                msg = f"{folder} does not keep its absolute paths; repeat its whole command, with resume={folder}"
                raise UserError(msg)
            before.run_dir = "???"
            kept = {key: cfg[key] for key in (*given, "allow_changed")}
            return OmegaConf.merge(before, kept)  # type: ignore[return-value]
    whole = cfg.copy()
    whole.run_dir, whole.resume = ".", False
    cfg.complete = OmegaConf.to_container(whole, resolve=True) == portable(whole)
    return cfg


def _searchpath() -> list[str]:
    """Where `--config-dir` and `hydra.searchpath` look for configuration, relative to this folder if it is within."""
    sources = HydraConfig.get().runtime.config_sources
    own = [source for source in sources if source.provider.startswith(("command-line", "hydra.searchpath"))]
    here = f"{Path.cwd()}{os.sep}"
    return [f"{source.schema}://{source.path.removeprefix(here)}" for source in own]


def _given(cfg: DictConfig) -> list[str]:
    """Arguments of every trial that the user decides."""
    folders = ",".join(map(quoted, cfg.searchpath))
    return [*([f"hydra.searchpath=[{folders}]"] if folders else []), *cfg.overrides]


def _composed(overrides: list[str], space: Space) -> DictConfig:
    """A trial's configuration; composes a few, for what Hydra refuses to be known before the first begins."""
    for params in some(space):
        arguments = [*overrides, *(override(key, value) for key, value in params.items())]
        cfg = checked("train", composed("train", arguments), spellings(arguments))
    if not cfg.logger.get("csv"):
        msg = "a search reads metrics.csv; keep logger=csv among the overrides' loggers"
        raise UserError(msg)
    return cfg


def _method(cfg: DictConfig, space: Space, train: DictConfig) -> Method:
    best = train.callbacks.get("checkpoint") or {}
    direction = read_direction(cfg.monitor or train.monitor, cfg.direction, best.get("monitor"), best.get("mode"))
    sampler = instantiate(cfg.sampler, _convert_="all")
    try:
        sampler(seed=cfg.seed)
    except (TypeError, ValueError) as error:
        msg = f"sampler must be _partial_ and take a seed: {error}"
        raise UserError(msg) from error
    return Method(space, direction, sampler, instantiate(cfg.pruner, _convert_="all"), cfg.seed)


def _training(cfg: DictConfig, overrides: list[str], train: DictConfig) -> Training:
    return Training(
        command=TRAIN,
        overrides=overrides,
        monitor=cfg.monitor or train.monitor,
        seeds=range(cfg.seed, cfg.seed + cfg.seeds),
        limit_s=None if cfg.trial_hours is None else 3600 * cfg.trial_hours,
    )


def _group(train: DictConfig, folder: Path) -> str:
    """What W&B groups the trials under, as it does the jobs of a grid."""
    return f"{train.task}/{folder.name}"


def _work(cfg: DictConfig, report: Report, training: Training) -> bool:
    """Run trials; whether a signal has stopped it."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    visible = os.environ.get(DEVICES)
    devices = [str(i) for i in range(torch.cuda.device_count())] if visible is None else visible.split(",")
    shares = slots(cfg.workers, cores, devices, os.environ)
    clock = Clock(report.search.folder / "clock.json", cfg.hours)
    return Worker(report.search, training, shares, cfg.trials, clock, report.ended).run()


def _end(report: Report, train: DictConfig, stopped: bool) -> float:
    report.write()
    trials, folder = report.search.trials(), report.search.folder
    print_table(trials, report.monitor, report.search.method.direction)
    print(f"sweep folder: {folder}")
    if stopped:
        log.warning("stopped; continue by segment sweep resume=%s", folder)
        sys.exit(STOPPED)
    if running := sum(not trial.state.is_finished() for trial in trials):
        log.info("%d trials are not done: other workers run them, or resume=%s will", running, folder)
    elif trials and train.logger.get("wandb"):
        own = {"name": "sweep", "group": _group(train, folder), "job_type": "sweep"}
        report.show_in_wandb(instantiate(train.logger.wandb, folder=str(folder), **own))
    best = best_trial(trials, report.search.method.direction)
    if best is None and trials and not running:
        msg = f"none of {len(trials)} trials has finished; trial 0: {trials[0].user_attrs.get('why')}"
        raise UserError(msg)
    return float("nan") if best is None or best.value is None else best.value


main = hydra_command("sweep")(sweep)

if __name__ == "__main__":
    main()
