"""`segment curve`: what more labelled CTs would buy, from trainings at growing numbers of CTs."""

import json
import logging
import shlex
import sys
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig, OmegaConf
from optuna.trial import FrozenTrial, TrialState

from segment.commands.command import hydra_command
from segment.commands.pages import page_at_end, write_safely
from segment.commands.ranking import OF_RANKING, check_options, names_data, rank_cts
from segment.configuration.arguments import quoted
from segment.configuration.check import validate_config
from segment.configuration.composition import compose_config, spellings
from segment.configuration.instantiate import instantiate
from segment.configuration.values import portable, with_values
from segment.curve.report import CurveReport
from segment.curve.subsets import SUBSETS, Subsets, choose_sizes, make_subsets, read_subsets, with_new_cases
from segment.curve.trainings import (
    SPLITS,
    CurveTraining,
    count_missing,
    kept_overrides,
    open_search,
    plan_trainings,
    split_name,
)
from segment.data.datamodule import CTDataModule
from segment.errors import UserError
from segment.files import write_text
from segment.privacy import without_paths
from segment.run.folder import Run
from segment.run.open_run import open_run
from segment.run.processes import clear_launcher_variables
from segment.search.options import DIRECTIONS
from segment.search.resources import Clock, machine_slots
from segment.search.resume_sweep import FACTS, Kind, resumed, sweep_in_named_folder
from segment.search.worker import Worker
from segment.view.page.curve import write_curve_page

log = logging.getLogger(__name__)

STOPPED = 143
TRAIN = (sys.executable, "-m", "segment.commands.train")
SPLIT = ("split=file", "split.path=splits")  # with the path of each training later
KIND = Kind("curve", "target", "outputs/quick/curves/<date_time>")
# Options that the trainings do not get as they are.
OWN = (
    *("sizes", "repeats", "target", "workers", "resume", "allow_changed", "output_dir", "seed", "split", "preflight"),
    *("rank", *OF_RANKING),
)


def curve(cfg: DictConfig) -> None:
    """Train at growing numbers of CTs, fit a curve to the test scores of each organ, and log what it answers.

    Several processes can share the folder. A resumed curve trains only what is missing. With rank=, nothing is trained;
    see `rank_cts`.

    Raises:
        UserError: When the options do not give a curve, the folder holds another one, or no training has finished.
    """
    clear_launcher_variables()
    arguments = HydraConfig.get().overrides.task
    check_options(cfg.rank is not None, arguments)
    if cfg.rank is not None:
        rank_cts(cfg, names_data(arguments))
        return
    with ExitStack() as startup_lock:
        if cfg.resume is True:
            cfg = with_values(cfg, resume=startup_lock.enter_context(sweep_in_named_folder(KIND)))
        cfg, facts = resumed(cfg, KIND)
        _check(cfg)
        given = facts["overrides"] if "overrides" in facts else kept_overrides(arguments, OWN)
        subsets = _subsets(cfg)
        sizes = choose_sizes(cfg.sizes, subsets)
        overrides = _without_split(_overrides(cfg, given, facts["searchpath"], subsets))
        train = _training_config(overrides)
        with open_run(cfg, "curve.log", shared=True) as run:
            if train.logger.get("wandb"):
                overrides.append(f"logger.wandb.group={quoted(f'{train.task}/{run.folder.name}')}")
            trainings = subsets.distinct(plan_trainings(sizes, cfg.repeats))
            _write_splits(run.folder, subsets, trainings)
            if not run.resumed:
                write_text(run.folder / FACTS, json.dumps(without_paths(facts | {"overrides": given}), indent=1))
                write_text(run.folder / "config.yaml", OmegaConf.to_yaml(OmegaConf.create(portable(cfg))))
            startup_lock.close()
            search = open_search(run.folder, trainings, DIRECTIONS[cfg.monitor_mode])
            report = CurveReport(search, subsets, list(cfg.organs), cfg.target, cfg.seed, _steps(train))
            splits = run.folder / SPLITS
            training = CurveTraining(TRAIN, overrides, train.monitor, [0], None, splits=splits, first=cfg.seed)
            stopped = _run_trainings(cfg, report, training)
            missing = count_missing(search.trials(), trainings)
            _finish(report, stopped, missing, _resume_command(run, cfg.allow_changed), cfg.page)


def _check(cfg: DictConfig) -> None:
    if not cfg.test:
        msg = "test=false leaves no scores for a curve, which is fitted to those of the test patients; set test=true"
        raise UserError(msg)
    if not cfg.callbacks.get("cases"):
        msg = "a curve reads the scores of the test patients from cases.csv; keep callbacks.cases, which writes it"
        raise UserError(msg)
    if not cfg.logger.get("csv"):
        msg = "a curve reads metrics.csv; keep logger=csv among the loggers"
        raise UserError(msg)


def _subsets(cfg: DictConfig) -> Subsets:
    """The patients of a new curve, or those of the resumed one and those that were labelled since."""
    datamodule: CTDataModule = instantiate(cfg.data)
    if isinstance(cfg.resume, str) and (Path(cfg.resume) / SUBSETS).exists():
        return with_new_cases(read_subsets(Path(cfg.resume)), datamodule.cases)
    return make_subsets(datamodule.split, cfg.seed, datamodule.patches_per_epoch)


def _write_splits(folder: Path, subsets: Subsets, trainings: Sequence[tuple[int, int]]) -> None:
    """Write the patients, and the split of every training."""
    subsets.write(folder)
    (folder / SPLITS).mkdir(exist_ok=True)
    for cts, repeat in trainings:
        write_text(folder / SPLITS / split_name(cts, repeat), json.dumps(subsets.split(cts, repeat), indent=1))


def _overrides(cfg: DictConfig, given: Sequence[str], searchpath: Sequence[str], subsets: Subsets) -> list[str]:
    """Arguments of every training. All have the same number of steps."""
    folders = ",".join(map(quoted, searchpath))
    return [
        *([f"hydra.searchpath=[{folders}]"] if folders else []),
        *given,
        f"output_dir={quoted(cfg.output_dir)}",
        f"preflight={str(cfg.preflight).lower()}",
        f"data.patches_per_epoch={subsets.patches_per_epoch}",
    ]


def _without_split(overrides: list[str]) -> list[str]:
    """Also remove what an experiment sets in the node `split`, which the split of a training does not take."""
    split = compose_config("train", [*overrides, *SPLIT]).split
    return [*overrides, *(f"~split.{key}" for key in split if key not in ("_target_", "path"))]


def _training_config(overrides: Sequence[str]) -> DictConfig:
    """The configuration of a training. Composing it reports errors before the first one starts."""
    arguments = [*overrides, *SPLIT]
    return validate_config("train", compose_config("train", arguments), spellings(arguments))


def _steps(train: DictConfig) -> str:
    """How the trainings compare in length."""
    epochs, patches = train.trainer.get("max_epochs"), train.data.patches_per_epoch
    return f"equal steps: {epochs} epochs of {patches} patches each, however few CTs there are"


def _run_trainings(cfg: DictConfig, report: CurveReport, training: CurveTraining) -> bool:
    """Run the trainings that are missing; return whether a signal stopped them."""
    folder = report.search.folder

    def on_trial_end(trial: FrozenTrial) -> None:
        report.on_trial_end(trial)
        if cfg.page:
            write_safely(folder, write_curve_page)

    clock = Clock(folder / "clock.json", hours=None)
    return Worker(report.search, training, machine_slots(cfg.workers), None, clock, on_trial_end).run()


def _resume_command(run: Run, allow_changed: Sequence[str]) -> str:
    """The command that continues; config.yaml does not hold the numbers with which a curve was extended."""
    given = HydraConfig.get().overrides.task if run.resumed else []
    changed = [word for word in given if word.partition("=")[0] in allow_changed]
    return shlex.join(["segment", "curve", f"resume={run.folder}", *changed])


def _finish(report: CurveReport, stopped: bool, missing: int, resume: str, page: bool) -> None:
    """Write the results, log the answer for each organ, and report what has not finished."""
    answers, trials, folder = report.write(), report.search.trials(), report.search.folder
    for one in answers:
        log.info("%s", one.sentence)
    print(f"curve folder: {folder}")
    page_at_end(page, folder, write_curve_page)
    if stopped:
        log.warning("stopped; continue by %s", resume)
        sys.exit(STOPPED)
    failed = [trial for trial in trials if trial.state == TrialState.FAIL]
    if len(failed) == len(trials):
        msg = f"none of {len(trials)} trainings has finished; trial 0: {trials[0].user_attrs.get('why')}"
        raise UserError(msg)
    if missing:
        log.warning("missing trainings: %d; run them by %s", missing, resume)


main = hydra_command("curve")(curve)

if __name__ == "__main__":
    main()
