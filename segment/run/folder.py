"""Choose the folder that a run writes to: a new one, or that of the run to resume."""

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from hashlib import blake2b
from itertools import count
from pathlib import Path
from typing import Any

from hydra.core.hydra_config import HydraConfig
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf

from segment.configuration.values import with_values
from segment.errors import UserError
from segment.run.resource_use import ResourceUse
from segment.run.resume import Facts, find_run, last_checkpoint

ENVIRONMENT = "environment.json"
USED = ("hours", "core_hours")  # summed over the processes of a run
PEAKS = ("peak_memory_gib", "peak_gpu_memory_gib")  # the maximum over its processes


@dataclass(frozen=True)
class Run:
    """A run folder and what to resume in it.

    Attributes:
        folder: Everything is written here.
        checkpoint: Checkpoint to resume from; None: start from scratch.
        resumed: Whether an earlier process of this run has written to the folder.
        use: Time and memory that this process has used since it opened the run.
    """

    folder: Path
    checkpoint: Path | None
    resumed: bool
    use: ResourceUse = field(default_factory=ResourceUse.start, compare=False)

    def to_json(self) -> str:
        """Serialise the run, without `use`, for the other processes of the run."""
        checkpoint = str(self.checkpoint.resolve()) if self.checkpoint else None
        return json.dumps([str(self.folder.resolve()), checkpoint, self.resumed])


def run_from_json(text: str) -> Run:
    """Deserialise the output of `Run.to_json`."""
    folder, checkpoint, resumed = json.loads(text)
    return Run(_relative(Path(folder)), _relative(Path(checkpoint)) if checkpoint else None, resumed)


def choose(cfg: DictConfig, log_name: str, facts: Facts | None = None) -> Run:
    """Choose the run folder for a configuration, and create it if it is new.

    A SLURM job that was requeued resumes its run even without `resume`.

    Args:
        cfg: The composed configuration of a command.
        log_name: File name of the log; a folder that has this file is taken.
        facts: As in `find_run`.

    Raises:
        UserError: When the folder holds another run, or there is nothing to resume.
    """
    named_in_python = not OmegaConf.is_missing(cfg, "run_dir")
    fresh = _relative(Path(cfg.run_dir) if named_in_python else _default_folder(cfg))
    if cfg.get("from_run") and HydraConfig.get().mode == RunMode.RUN and not _is_named():
        fresh = Path(cfg.output_dir) / cfg.task / fresh.name  # Hydra has used the default task
    earlier = _requeued_run(cfg, fresh, facts) if cfg.resume is False else find_run(cfg, fresh, facts)
    if earlier is not None:
        return Run(earlier, last_checkpoint(earlier), resumed=True)
    if named_in_python or _is_named():
        _refuse_taken(fresh)
        fresh.mkdir(parents=True, exist_ok=True)
        return Run(fresh, None, resumed=False)
    return Run(_claimed(fresh, log_name), None, resumed=False)


def refresh_run(run: Run) -> Run:
    """Look at the folder again after locking it: another process may have written to it since `choose`.

    Raises:
        UserError: When another run has started in a folder that was new.
    """
    if not run.resumed:
        _refuse_taken(run.folder)
        return run
    return replace(run, checkpoint=last_checkpoint(run.folder))


def _refuse_taken(folder: Path) -> None:
    if (folder / "config.yaml").exists():
        msg = f"{folder} holds a run already; choose another folder, or resume this one with resume={folder}"
        raise UserError(msg)


def slurm_job() -> dict[str, str]:
    """Entries of environment.json by which a requeued SLURM job finds its run; empty outside SLURM.

    These are the id of the job, which a requeued one keeps, and a hash of the overrides, because a job may run several
    commands. The recorded overrides lack the folders of the machine.
    """
    if "SLURM_JOB_ID" not in os.environ:
        return {}
    overrides = list(HydraConfig.get().overrides.task) if HydraConfig.initialized() else []
    command = blake2b(json.dumps(overrides).encode(), digest_size=8).hexdigest()
    return {"slurm_job": os.environ["SLURM_JOB_ID"], "slurm_command": command}


def _requeued_run(cfg: DictConfig, fresh: Path, facts: Facts | None) -> Path | None:
    """The run that this command started before its SLURM job was requeued; None if there is none.

    Raises:
        UserError: When the configuration differs because `conf/` has changed since.
    """
    if not is_requeued() or not HydraConfig.initialized():
        return None
    mine = slurm_job()
    timestamped = (Path(cfg.output_dir) / cfg.task).glob(f"*/{ENVIRONMENT}")
    for path in (fresh / ENVIRONMENT, *sorted(timestamped)):
        if not (path.exists() and path.with_name("config.yaml").exists()):
            continue
        latest = process_records(json.loads(path.read_text(encoding="utf-8")))[-1]
        if mine.items() <= latest.items():
            return find_run(with_values(cfg, resume=str(path.parent)), fresh, facts)
    return None


def is_requeued() -> bool:
    """Whether this process belongs to a SLURM job that was requeued."""
    return os.environ.get("SLURM_RESTART_COUNT", "0") != "0"


def process_records(record: dict[str, Any]) -> list[dict[str, Any]]:
    """Records of all processes of a run, oldest first, from the content of environment.json.

    config.yaml and split.json belong to the last process.
    """
    return [record, *record.get("resumed", [])]


def resources_used(processes: Sequence[Mapping[str, Any]]) -> dict[str, float]:
    """What the processes of a run have used, without those that were killed.

    Returns:
        `hours` and `core_hours` of all processes, their highest `peak_memory_gib` and `peak_gpu_memory_gib`, and the
        last `epoch_s`. A value that no process has measured is left out.
    """
    used: dict[str, float] = {}
    for names, combine in ((USED, sum), (PEAKS, max), (("epoch_s",), lambda values: values[-1])):
        for name in names:
            values = [process[name] for process in processes if name in process]
            if values:
                used[name] = round(combine(values), 4)
    return used


def code_name(record: Mapping[str, Any]) -> str:
    """Short name of the code that ran, equal for equal code: `5363fa5`, or `5363fa5 with changes 9a3e`.

    Args:
        record: The record of one process in environment.json.
    """
    git = record.get("git")
    if not git:
        return str(record.get("segment", ""))
    name = str(git["sha"][:7])
    if not git["diff"] and not git["untracked"]:
        return name
    changes = json.dumps([git["diff"], git["untracked"]])
    return f"{name} with changes {blake2b(changes.encode(), digest_size=2).hexdigest()}"


def _relative(folder: Path) -> Path:
    """Path relative to the current folder if it is below it, as a user would write it; else unchanged."""
    current = Path.cwd()
    if folder.is_absolute() and folder.is_relative_to(current):
        return folder.relative_to(current)
    return folder


def _default_folder(cfg: DictConfig) -> Path:
    """The folder that Hydra has chosen, or without Hydra one with the same kind of name."""
    if HydraConfig.initialized():
        return Path(HydraConfig.get().runtime.output_dir)
    return Path(cfg.output_dir, cfg.task, f"{datetime.now():%Y-%m-%d_%H-%M-%S}")


def _is_named() -> bool:
    """Whether the user named the folder on the command line; otherwise its name is the time of the start."""
    if not HydraConfig.initialized():
        return False
    overrides = HydraConfig.get().overrides.hydra
    return any(override.startswith(("hydra.run.dir=", "hydra.sweep.")) for override in overrides)


def _claimed(folder: Path, log_name: str) -> Path:
    """Create the log in the first free folder of <folder>, <folder>_1, <folder>_2 …, and return this folder.

    Two runs that start in the same second get different folders, because only one process can create the log.
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
