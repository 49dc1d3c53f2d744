"""The run folder: where a run writes, and what it records at the start."""

import json
import logging
import os
import time
import traceback
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Any

from hydra.core.hydra_config import HydraConfig
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf

from segment.errors import UserError
from segment.files import write_text
from segment.privacy import without_paths_in_log
from segment.provenance import core_seconds, environment
from segment.resume import find_run, last_checkpoint, portable

log = logging.getLogger(__name__)

ENVIRONMENT = "environment.json"
HERE = "SEGMENT_RUN_DIR"  # tells the other processes of a DDP run where the first one writes


@dataclass(frozen=True)
class Run:
    """A run folder.

    Attributes:
        folder: Where everything goes.
        checkpoint: What to resume from; None starts anew.
        resumed: Whether the folder holds what an earlier process of this run left.
    """

    folder: Path
    checkpoint: Path | None
    resumed: bool


@contextmanager
def begin(cfg: DictConfig, log_name: str) -> Iterator[Run]:
    """Choose the run folder, put it into `cfg.run_dir`, and keep a log in it while the block runs.

    Args:
        cfg: The composed configuration of a door.
        log_name: File name of the log.

    Raises:
        UserError: When the folder holds another run, or there is nothing to resume.
    """
    run = _choose(cfg, log_name)
    cfg.run_dir = str(run.folder)
    log.info("run folder: %s%s", run.folder, ", going on from its last checkpoint" if run.checkpoint else "")
    handler = logging.FileHandler(run.folder / log_name, encoding="utf-8")
    handler.setFormatter(_Formatter("%(asctime)s %(levelname)s %(name)s: %(message)s"))
    # Lightning's messages reach the root logger only where that had handlers at the import.
    lightning = logging.getLogger("pytorch_lightning")
    loggers = [logging.getLogger()] if lightning.propagate else [logging.getLogger(), lightning]
    for logger in loggers:
        logger.addHandler(handler)
    os.environ[HERE] = str(run.folder.resolve())
    began = time.monotonic(), core_seconds()
    try:
        yield run
    except BaseException:
        # Into the file only: what the terminal shows of it is the door's choice.
        with (run.folder / log_name).open("a", encoding="utf-8") as file:
            file.write(without_paths_in_log(traceback.format_exc()))
        raise
    finally:
        os.environ.pop(HERE, None)
        _record_time(run, time.monotonic() - began[0], core_seconds() - began[1])
        for logger in loggers:
            logger.removeHandler(handler)
        handler.close()


class _Formatter(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        return without_paths_in_log(super().format(record))


def record(run: Run, cfg: DictConfig, split: Mapping[str, Sequence[str]], data: Mapping[str, Any]) -> None:
    """Write split.json, environment.json and, last, config.yaml.

    environment.json tells of the start; every later process of the run adds its own under `resumed`.

    Args:
        run: The run.
        cfg: Its configuration.
        split: Ids of the cases of each part.
        data: What tells the cases' content, as plain values: `cases`, hashes of the CTs' voxels by id, and more.
    """
    path = run.folder / ENVIRONMENT
    overrides = HydraConfig.get().overrides.task if HydraConfig.initialized() else []
    facts = environment(cfg.seed, overrides) | {**data}
    if run.resumed and path.exists():
        first = json.loads(path.read_text(encoding="utf-8"))
        facts = first | {"resumed": [*first.get("resumed", []), facts]}
    write_text(path, json.dumps(facts, indent=1))
    write_text(run.folder / "split.json", json.dumps(split, indent=1))
    write_text(run.folder / "config.yaml", OmegaConf.to_yaml(OmegaConf.create(portable(cfg))))


def _record_time(run: Run, seconds: float, cores_seconds: float) -> None:
    """Add to environment.json how long this process has worked; one that is killed cannot tell.

    Further processes of a DDP run write nothing, so their time is not in it.
    """
    path = run.folder / ENVIRONMENT
    if "LOCAL_RANK" in os.environ or not path.exists():
        return
    facts = json.loads(path.read_text(encoding="utf-8"))
    mine = facts["resumed"][-1] if facts.get("resumed") else facts
    mine |= {"hours": round(seconds / 3600, 4), "core_hours": round(cores_seconds / 3600, 4)}
    with suppress(OSError):  # a full disk; what ended the run has more to say
        write_text(path, json.dumps(facts, indent=1))


def _choose(cfg: DictConfig, log_name: str) -> Run:
    if "LOCAL_RANK" in os.environ and HERE in os.environ:  # a further process of DDP
        first = Path(os.environ[HERE])
        return Run(first, last_checkpoint(first) if cfg.resume else None, resumed=bool(cfg.resume))
    given = not OmegaConf.is_missing(cfg, "run_dir")  # by Python
    fresh = _shown(Path(cfg.run_dir if given else HydraConfig.get().runtime.output_dir))
    if cfg.get("from_run") and HydraConfig.get().mode == RunMode.RUN and not _is_named():
        fresh = Path(cfg.output_dir) / cfg.task / fresh.name  # Hydra has made it for the task that is the default
    if cfg.resume is not False and (folder := find_run(cfg, fresh)) is not None:
        return Run(folder, last_checkpoint(folder), resumed=True)
    if given or _is_named():
        if (fresh / "config.yaml").exists():
            msg = f"{fresh} holds a run already; choose another folder, or go on with it by resume={fresh}"
            raise UserError(msg)
        fresh.mkdir(parents=True, exist_ok=True)
        return Run(fresh, None, resumed=False)
    return Run(_claimed(fresh, log_name), None, resumed=False)


def _shown(folder: Path) -> Path:
    """The folder as a user would write it: relative to the current one if it lies below."""
    here = Path.cwd()
    return folder.relative_to(here) if folder.is_absolute() and folder.is_relative_to(here) else folder


def _is_named() -> bool:
    """Whether the user named the folder; else it is called after the clock."""
    return any(o.startswith(("hydra.run.dir=", "hydra.sweep.")) for o in HydraConfig.get().overrides.hydra)


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
