"""Which folder a run writes into: a new one, or that of the run that goes on."""

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from hashlib import blake2b
from itertools import count
from pathlib import Path
from typing import Any

from hydra.core.hydra_config import HydraConfig
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf

from segment.errors import UserError
from segment.run.resume import find_run, last_checkpoint
from segment.run.use import Use

ENVIRONMENT = "environment.json"


@dataclass(frozen=True)
class Run:
    """A run folder.

    Attributes:
        folder: Where everything goes.
        checkpoint: What to resume from; None starts anew.
        resumed: Whether the folder holds what an earlier process of this run left.
        use: What this process has used since it took the run.
    """

    folder: Path
    checkpoint: Path | None
    resumed: bool
    use: Use = field(default_factory=Use.begin, compare=False)

    def to_json(self) -> str:
        """The same as text, for other processes of the run."""
        checkpoint = str(self.checkpoint.resolve()) if self.checkpoint else None
        return json.dumps([str(self.folder.resolve()), checkpoint, self.resumed])


def run_from_json(text: str) -> Run:
    """The run of which another process has told."""
    folder, checkpoint, resumed = json.loads(text)
    return Run(_shown(Path(folder)), _shown(Path(checkpoint)) if checkpoint else None, resumed)


def choose(cfg: DictConfig, log_name: str) -> Run:
    """The folder for this configuration.

    A SLURM job that was put back into the queue goes on with its run, whether `resume` says so or not.

    Args:
        cfg: The composed configuration of a door.
        log_name: File name of the log, which tells a folder as taken.

    Raises:
        UserError: When the folder holds another run, or there is nothing to resume.
    """
    given = not OmegaConf.is_missing(cfg, "run_dir")  # by Python
    fresh = _shown(Path(cfg.run_dir) if given else _of_now(cfg))
    if cfg.get("from_run") and HydraConfig.get().mode == RunMode.RUN and not _is_named():
        fresh = Path(cfg.output_dir) / cfg.task / fresh.name  # Hydra has made it for the task that is the default
    if cfg.resume is False and (folder := _begun_by_this_job(cfg, fresh)) is not None:
        return Run(folder, last_checkpoint(folder), resumed=True)
    if cfg.resume is not False and (folder := find_run(cfg, fresh)) is not None:
        return Run(folder, last_checkpoint(folder), resumed=True)
    if given or _is_named():
        _refuse_taken(fresh)
        fresh.mkdir(parents=True, exist_ok=True)
        return Run(fresh, None, resumed=False)
    return Run(_claimed(fresh, log_name), None, resumed=False)


def seen_again(run: Run) -> Run:
    """The chosen run as it is now that no other process writes its folder.

    Raises:
        UserError: When another one has begun there meanwhile.
    """
    if not run.resumed:
        _refuse_taken(run.folder)
        return run
    return replace(run, checkpoint=last_checkpoint(run.folder))


def _refuse_taken(folder: Path) -> None:
    if (folder / "config.yaml").exists():
        msg = f"{folder} holds a run already; choose another folder, or resume it by resume={folder}"
        raise UserError(msg)


def slurm_job() -> dict[str, str]:
    """What environment.json tells of the SLURM job, which keeps its number when it is requeued; nothing without one."""
    return {"slurm_job": os.environ["SLURM_JOB_ID"]} if "SLURM_JOB_ID" in os.environ else {}


def _begun_by_this_job(cfg: DictConfig, fresh: Path) -> Path | None:
    """The run that this command of this SLURM job had begun before the job was requeued.

    Raises:
        UserError: When its configuration is another one, because `conf/` has changed since.
    """
    if not is_requeued() or not HydraConfig.initialized():
        return None
    mine = slurm_job() | {"overrides": list(HydraConfig.get().overrides.task)}
    called_after_the_clock = (Path(cfg.output_dir) / cfg.task).glob(f"*/{ENVIRONMENT}")
    for path in (fresh / ENVIRONMENT, *sorted(called_after_the_clock)):
        if not (path.exists() and path.with_name("config.yaml").exists()):
            continue
        facts = json.loads(path.read_text(encoding="utf-8"))
        if mine.items() <= processes_of(facts)[-1].items():
            goes_on = cfg.copy()
            goes_on.resume = str(path.parent)
            return find_run(goes_on, fresh)
    return None


def is_requeued() -> bool:
    """Whether this is a SLURM job that was put back into the queue."""
    return os.environ.get("SLURM_RESTART_COUNT", "0") != "0"


def processes_of(facts: dict[str, Any]) -> list[dict[str, Any]]:
    """What environment.json tells of every process of a run, in turn; config.yaml and split.json are the last one's."""
    return [facts, *facts.get("resumed", [])]


def code_name(facts: Mapping[str, Any]) -> str:
    """Short name of the code that ran, equal for equal code: `5363fa5`, or `5363fa5 with changes 9a3e`.

    Args:
        facts: What environment.json holds of one process.
    """
    git = facts.get("git")
    if not git:
        return str(facts.get("segment", ""))
    changes = json.dumps([git["diff"], git["untracked"]])
    is_changed = git["diff"] or git["untracked"]
    mark = f" with changes {blake2b(changes.encode(), digest_size=2).hexdigest()}" if is_changed else ""
    return f"{git['sha'][:7]}{mark}"


def _shown(folder: Path) -> Path:
    """The folder as a user would write it: relative to the current one if it lies below."""
    here = Path.cwd()
    return folder.relative_to(here) if folder.is_absolute() and folder.is_relative_to(here) else folder


def _of_now(cfg: DictConfig) -> Path:
    """The folder that Hydra has chosen, or that it would have, where Python calls without it."""
    if HydraConfig.initialized():
        return Path(HydraConfig.get().runtime.output_dir)
    return Path(cfg.output_dir, cfg.task, f"{datetime.now():%Y-%m-%d_%H-%M-%S}")


def _is_named() -> bool:
    """Whether the user named the folder; else it is called after the clock."""
    return HydraConfig.initialized() and any(
        o.startswith(("hydra.run.dir=", "hydra.sweep.")) for o in HydraConfig.get().overrides.hydra
    )


def _claimed(folder: Path, log_name: str) -> Path:
    """The folder, or the first free one of <folder>_1, <folder>_2 …: runs of one second must not share it.

    Only one process can create its log.
    """
    for number in count():
        candidate = folder.with_name(f"{folder.name}_{number}") if number else folder
        candidate.mkdir(parents=True, exist_ok=True)
        try:
            (candidate / log_name).touch(exist_ok=False)
        except FileExistsError:
            continue
        return candidate
    raise AssertionError  # count() never ends
