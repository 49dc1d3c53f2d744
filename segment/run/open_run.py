"""Where a run writes, and the log it keeps there."""

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

from segment.errors import UserError
from segment.files import remove_if_empty
from segment.privacy import without_paths_in_log
from segment.run.broadcast import broadcast_choice
from segment.run.folder import Run, choose, run_from_json, seen_again
from segment.run.lock import alone_in
from segment.run.processes import is_first
from segment.run.record import record_use, stamp

log = logging.getLogger(__name__)

HERE = "SEGMENT_RUN"  # tells the processes that Lightning starts where the first one writes


@contextmanager
def open_run(cfg: DictConfig, log_name: str, shared: bool = False) -> Iterator[Run]:
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
        try:
            with _told(run, log_name):
                yield run
        except (UserError, HydraException):
            lock.close()
            if not run.resumed and [path.name for path in run.folder.iterdir()] == [log_name]:  # it has not begun
                (run.folder / log_name).unlink()
                remove_if_empty(run.folder, str(cfg.output_dir))
            raise


@contextmanager
def _told(run: Run, log_name: str) -> Iterator[None]:
    """Tell the run to processes that Lightning starts, and keep its log and its time while the block runs."""
    first = is_first()
    before = stamp(run)
    os.environ[HERE] = run.to_json()
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
        if first and stamp(run) != before:  # else this process came to nothing, and the hours are another's
            record_use(run)


def _chosen(cfg: DictConfig, log_name: str, lock: ExitStack | None) -> Run:
    """The run that all its processes write into; the first one chooses, and locks the folder until `lock` is closed."""
    if "LOCAL_RANK" in os.environ and HERE in os.environ:  # started by Lightning
        return run_from_json(os.environ[HERE])

    def choice() -> str:
        run = choose(cfg, log_name)
        if lock is not None:
            lock.enter_context(alone_in(run.folder))
            run = seen_again(run)
        return run.to_json()

    in_sweep = HydraConfig.initialized() and HydraConfig.get().mode == RunMode.MULTIRUN
    job = HydraConfig.get().job.num if in_sweep else 0
    return run_from_json(broadcast_choice(f"{log_name} {job}", choice))


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
