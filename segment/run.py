"""The run folder: where a run writes, and what it records at the start."""

import json
import logging
import os
import time
import traceback
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any

from hydra.core.hydra_config import HydraConfig
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf

from segment.agreement import agreed
from segment.files import write_text
from segment.privacy import without_paths_in_log
from segment.processes import is_first
from segment.provenance import core_seconds, environment
from segment.resume import portable
from segment.run_folder import ENVIRONMENT, choose, heard, seen_again, slurm_job
from segment.run_folder import Run as Run
from segment.run_lock import alone_in

log = logging.getLogger(__name__)

HERE = "SEGMENT_RUN"  # tells the processes that Lightning starts where the first one writes


@contextmanager
def begin(cfg: DictConfig, log_name: str, shared: bool = False) -> Iterator[Run]:
    """Choose the run folder, put it into `cfg.run_dir`, and keep a log in it while the block runs.

    Args:
        cfg: The composed configuration of a door.
        log_name: File name of the log.
        shared: Whether several commands may write into the folder at once.

    Raises:
        UserError: When the folder holds another run, another command writes it, or there is nothing to resume.
    """
    with ExitStack() as lock:
        run = _chosen(cfg, log_name, None if shared else lock)
        cfg.run_dir = str(run.folder)
        with _told(run, log_name):
            yield run


@contextmanager
def _told(run: Run, log_name: str) -> Iterator[None]:
    """Tell the run to processes that Lightning starts, and keep its log and its time while the block runs."""
    first = is_first()
    began, before = (time.monotonic(), core_seconds()), _stamp(run)
    os.environ[HERE] = run.told()
    try:
        if first:  # to the terminal only
            goes_on = ", going on from its last checkpoint" if run.checkpoint else ""
            log.info("run folder: %s%s", run.folder, goes_on)
        with _log_in(run.folder / log_name) if first else _quiet():
            yield
    except SystemExit:  # stopped, not failed
        raise
    except BaseException:
        # Into the file only: what the terminal shows of it is the door's choice.
        with (run.folder / log_name).open("a", encoding="utf-8") as file:
            file.write(without_paths_in_log(traceback.format_exc()))
        raise
    finally:
        os.environ.pop(HERE, None)
        if first and _stamp(run) != before:  # else this process came to nothing, and the hours are another's
            _record_time(run, time.monotonic() - began[0], core_seconds() - began[1])


def _chosen(cfg: DictConfig, log_name: str, lock: ExitStack | None) -> Run:
    """The run that all its processes write into; the first one chooses, and locks the folder until `lock` is closed."""
    if "LOCAL_RANK" in os.environ and HERE in os.environ:  # started by Lightning
        return heard(os.environ[HERE])

    def choice() -> str:
        run = choose(cfg, log_name)
        if lock is not None:
            lock.enter_context(alone_in(run.folder))
            run = seen_again(run)
        return run.told()

    in_sweep = HydraConfig.initialized() and HydraConfig.get().mode == RunMode.MULTIRUN
    job = HydraConfig.get().job.num if in_sweep else 0
    return heard(agreed(f"{log_name} {job}", choice))


@contextmanager
def _log_in(path: Path) -> Iterator[None]:
    """Keep a log in a file."""
    handler = logging.FileHandler(path, encoding="utf-8")
    handler.addFilter(lambda record: record.name != "submitit")  # it names machines
    handler.setFormatter(_Formatter("%(asctime)s %(levelname)s %(name)s: %(message)s"))
    # Lightning's messages reach the root logger only where that had handlers at the import.
    lightning = logging.getLogger("pytorch_lightning")
    loggers = [logging.getLogger()] if lightning.propagate else [logging.getLogger(), lightning]
    for logger in loggers:
        logger.addHandler(handler)
    try:
        yield
    finally:
        for logger in loggers:
            logger.removeHandler(handler)
        handler.close()


@contextmanager
def _quiet() -> Iterator[None]:
    """Say nothing that the first process says, too."""
    root = logging.getLogger()
    before = root.level
    root.setLevel(logging.WARNING)
    try:
        yield
    finally:
        root.setLevel(before)


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
    facts = environment(cfg.seed, overrides) | slurm_job() | {**data}
    if run.resumed and path.exists():
        first = json.loads(path.read_text(encoding="utf-8"))
        facts = first | {"resumed": [*first.get("resumed", []), facts]}
    write_text(path, json.dumps(facts, indent=1))
    write_text(run.folder / "split.json", json.dumps(split, indent=1))
    write_text(run.folder / "config.yaml", OmegaConf.to_yaml(OmegaConf.create(portable(cfg))))


def _stamp(run: Run) -> int | None:
    """When environment.json was written."""
    path = run.folder / ENVIRONMENT
    return path.stat().st_mtime_ns if path.exists() else None


def _record_time(run: Run, seconds: float, cores_seconds: float) -> None:
    """Add to environment.json how long this process has worked; one that is killed cannot tell.

    Further processes of a DDP run write nothing, so their time is not in it.
    """
    path = run.folder / ENVIRONMENT
    facts = json.loads(path.read_text(encoding="utf-8"))
    mine = facts["resumed"][-1] if facts.get("resumed") else facts
    mine |= {"hours": round(seconds / 3600, 4), "core_hours": round(cores_seconds / 3600, 4)}
    with suppress(OSError):  # a full disk; what ended the run has more to say
        write_text(path, json.dumps(facts, indent=1))
