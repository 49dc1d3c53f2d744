"""Open a run: choose and lock its folder, and keep a log in it."""

import logging
import os
import traceback
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from hydra.core.hydra_config import HydraConfig
from hydra.errors import HydraException
from hydra.types import RunMode
from omegaconf import DictConfig

from segment.configuration.values import with_values
from segment.errors import UserError
from segment.files import remove_if_empty
from segment.privacy import without_paths_in_log
from segment.run.broadcast import broadcast_choice
from segment.run.folder import Run, choose, refresh_run, run_from_json
from segment.run.lock import alone_in
from segment.run.processes import is_rank_zero
from segment.run.record import record_use, written_at
from segment.run.resume import Facts

log = logging.getLogger(__name__)

RUN_VARIABLE = "SEGMENT_RUN"  # environment variable with the run, for the processes that Lightning starts


@contextmanager
def open_run(cfg: DictConfig, log_name: str, facts: Facts | None = None, shared: bool = False) -> Iterator[Run]:
    """Choose the run folder, and keep a log in it while the block runs.

    Args:
        cfg: The composed configuration of a command.
        log_name: File name of the log.
        facts: What the command has found out before the run; see `segment.run.resume.find_run`.
        shared: Whether several commands may write to the folder at the same time.

    Raises:
        UserError: When the folder holds another run, another command is writing to it, or there is nothing to resume.
    """
    with ExitStack() as lock:
        run = _choose_on_rank_zero(cfg, log_name, facts, None if shared else lock)
        try:
            with _logged(run, log_name):
                yield run
        except (UserError, HydraException):
            lock.close()
            if is_rank_zero() and not run.resumed:
                _remove_unused(run.folder, log_name, str(cfg.output_dir))
            raise


def _remove_unused(folder: Path, log_name: str, root: str) -> None:
    """Remove the folder of a run that was refused before anything but its log was written."""
    if [path.name for path in folder.iterdir()] == [log_name]:
        (folder / log_name).unlink()
        remove_if_empty(folder, root)


def in_folder(cfg: DictConfig, run: Run) -> DictConfig:
    """The configuration with `run_dir`, to which callbacks and loggers refer."""
    return with_values(cfg, run_dir=str(run.folder))


@contextmanager
def _logged(run: Run, log_name: str) -> Iterator[None]:
    """Pass the run to processes that Lightning starts, and keep its log.

    When the block ends, the time used is recorded, and whether the block ended without an error or a signal.
    """
    is_first, is_finished = is_rank_zero(), False
    before = written_at(run)
    os.environ[RUN_VARIABLE] = run.to_json()
    try:
        if is_first:  # logged before the file handler is added, so that only the terminal shows it
            resuming = ", resuming from its last checkpoint" if run.checkpoint else ""
            log.info("run folder: %s%s", run.folder, resuming)
        with _log_in(run.folder / log_name) if is_first else _only_warnings():
            yield
        is_finished = True
    except SystemExit:  # stopped by a signal, not failed
        raise
    except BaseException as error:
        # Rank 0 removes the folder of a refused run; a log written by another process would create it again.
        if is_first or not isinstance(error, (UserError, HydraException)):
            # Only the file gets the traceback: the command decides what the terminal shows.
            with (run.folder / log_name).open("a", encoding="utf-8") as file:
                file.write(without_paths_in_log(traceback.format_exc()))
        raise
    finally:
        os.environ.pop(RUN_VARIABLE, None)
        if is_first and written_at(run) != before:  # otherwise the last record is that of an earlier process
            record_use(run, {"finished": is_finished})


def _choose_on_rank_zero(cfg: DictConfig, log_name: str, facts: Facts | None, lock: ExitStack | None) -> Run:
    """Choose the run on rank 0 and broadcast it; rank 0 locks the folder until `lock` is closed."""
    if "LOCAL_RANK" in os.environ and RUN_VARIABLE in os.environ:  # started by Lightning
        return run_from_json(os.environ[RUN_VARIABLE])

    def choice() -> str:
        run = choose(cfg, log_name, facts)
        if lock is not None:
            lock.enter_context(alone_in(run.folder))
            run = refresh_run(run)
        return run.to_json()

    in_sweep = HydraConfig.initialized() and HydraConfig.get().mode == RunMode.MULTIRUN
    job = HydraConfig.get().job.num if in_sweep else 0
    return run_from_json(broadcast_choice(f"{log_name} {job}", choice))


@contextmanager
def _log_in(path: Path) -> Iterator[None]:
    """Write the log to a file while the block runs."""
    handler = logging.FileHandler(path, encoding="utf-8")
    handler.addFilter(lambda record: record.name != "submitit")  # its messages name machines
    handler.setFormatter(_Formatter("%(asctime)s %(levelname)s %(name)s: %(message)s"))
    # Lightning's messages reach the root logger only if that had handlers when Lightning was imported.
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
def _only_warnings() -> Iterator[None]:
    """Log warnings only while the block runs, because rank 0 logs the rest."""
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
