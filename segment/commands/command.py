"""Run a command as a Hydra application, and report its errors."""

import errno
import functools
import os
import re
import sys
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import hydra
from hydra.core.hydra_config import HydraConfig
from hydra.errors import HydraException, InstantiationException
from hydra.types import RunMode
from omegaconf.errors import OmegaConfBaseException

from segment.commands.multirun import Grid
from segment.configuration.arguments import parse_arguments
from segment.configuration.check import validate_config
from segment.configuration.composition import explain_hydra_error, spellings
from segment.configuration.explanation import one_line
from segment.configuration.values import config_dir
from segment.errors import UserError
from segment.files import remove_if_empty
from segment.runtime.garbage import collect_as_usual

FULL_ERROR = "HYDRA_FULL_ERROR"
# Remedies for errors of the operating system that the user can fix. Other system errors are bugs.
REMEDIES = {
    "check your rights there, or choose another folder": (errno.EACCES, errno.EPERM),
    "choose a folder that can be written": (errno.EROFS, errno.ENODEV, errno.ENXIO, errno.ENOTSUP, errno.ENOSYS),
    "free space, or choose a folder on another disk": (errno.ENOSPC, errno.EDQUOT, errno.EFBIG),
    "choose another folder, or move this one away": (errno.EEXIST, errno.ENOTDIR, errno.EISDIR, errno.ENOTEMPTY),
    "choose a shorter name, without links that form a loop": (errno.ENAMETOOLONG, errno.ELOOP),
    "close the program that uses it, and run the same command again": (errno.EBUSY, errno.ETXTBSY),
    "check the disk or network drive, and run the same command again": (errno.EIO, errno.ESTALE, errno.ENOTCONN),
}


def hydra_command(config_name: str) -> Callable[[Callable[[Any], Any]], Callable[[], None]]:
    """Turn a function of a composed configuration into a command.

    An error that the user can fix (`UserError`, an unknown override, a missing value) is printed as one sentence on
    stderr, and the exit code is 2; with `HYDRA_FULL_ERROR=1` the traceback is printed instead. Any other exception is a
    bug: its traceback is always printed, and the exit code is 1. A sweep continues after a failed job; its exit code is
    1 if any job had a bug, else 2 if any job failed.
    """

    def decorate(task: Callable[[Any], Any]) -> Callable[[], None]:
        def main() -> None:
            collect_as_usual()
            # argparse accepts overrides before its options or after them, but not on both sides.
            arguments = parse_arguments(sys.argv[1:])
            sys.argv[1:] = [*arguments.options, *arguments.rest]
            verbose = os.environ.get(FULL_ERROR) == "1"
            failed: list[Exception] = []
            grid = Grid()
            job = _job(task, config_name, verbose, failed, grid)
            try:
                with _full_error("1"):  # makes Hydra raise errors instead of printing them
                    hydra.main(version_base="1.3", config_path=config_dir(), config_name=config_name)(job)()
            except Exception as error:
                if not failed:  # else it is the first failed job's error, which has been printed
                    if isinstance(error, HydraException):
                        error = explain_hydra_error(error, config_name, arguments)
                    _show(error, verbose)
                sys.exit(min(map(_exit_code, failed or [error])))
            finally:
                grid.report()

        return main

    return decorate


def _job(
    task: Callable[[Any], Any], config_name: str, verbose: bool, failed: list[Exception], grid: Grid
) -> Callable[[Any], Any]:
    """Wrap a task to check its configuration and report its errors.

    Jobs of a grid are recorded in `grid`, and their errors appended to `failed`.
    """

    @functools.wraps(task)
    def job(cfg: Any) -> Any:  # noqa: ANN401
        try:
            # Restores the user's setting for the processes that the task starts.
            with _full_error("1" if verbose else None):
                overrides = HydraConfig.get().overrides.task
                score = task(validate_config(config_name, cfg, spellings(overrides)))
            if HydraConfig.get().mode == RunMode.MULTIRUN:
                grid.end(f"{score:.4f}" if isinstance(score, float) else "done", cfg)
            return score
        except Exception as error:
            _end_if_asked(error)
            if HydraConfig.get().mode != RunMode.MULTIRUN:
                _show(error, verbose)
                sys.exit(_exit_code(error))
            failed.append(error)
            print(f"job {HydraConfig.get().job.num} of the sweep failed", file=sys.stderr)
            _show(error, verbose)
            grid.end(f"failed: {_reason(error) or repr(error)}", cfg)
            raise
        finally:
            remove_if_empty(Path(HydraConfig.get().runtime.output_dir), cfg.get("output_dir"))

    return job


def _end_if_asked(error: Exception) -> None:
    """Raise the `SystemExit` that an error has replaced.

    After a signal, the ends of DataLoader workers may be errors of their own, which are not why the process ends.
    """
    before: BaseException | None = error
    while before is not None:
        if isinstance(before, SystemExit):
            raise SystemExit(before.code) from error
        before = before.__context__


@contextmanager
def _full_error(value: str | None) -> Iterator[None]:
    """Set `HYDRA_FULL_ERROR` for a block; None removes it."""
    before = os.environ.pop(FULL_ERROR, None)
    if value is not None:
        os.environ[FULL_ERROR] = value
    try:
        yield
    finally:
        os.environ.pop(FULL_ERROR, None)
        if before is not None:
            os.environ[FULL_ERROR] = before


def _show(error: Exception, verbose: bool) -> None:
    reason = _reason(error)
    if verbose or reason is None:
        traceback.print_exception(error)
    else:
        print(f"error: {reason}", file=sys.stderr)


def _reason(error: Exception) -> str | None:
    """What the user can fix, in one sentence; None for a bug."""
    for cause in _chain(error):
        if isinstance(cause, UserError):
            return str(cause)
    if isinstance(error, OSError):
        remedy = _remedy(error)
        if remedy:
            return f"{error.strerror}: {error.filename or 'writing a file'}; {remedy}"
    if type(error).__module__.startswith("submitit."):  # a job on a cluster; submitit need not be installed
        what = " ".join(str(error).split("\n")[:2])  # the other lines are the job's log
        rest = "; the other jobs continue, and resume=true resumes this one"
        return what + (rest if what.startswith("Job ") else "")
    if isinstance(error, RuntimeError) and "are you indeed on a slurm cluster" in str(error):
        return "SLURM is not available: srun is not found; start the sweep where sbatch works, or without this launcher"
    if isinstance(error, InstantiationException) and error.__cause__ is not None:
        where = re.search(r"full_key: (\S+)", str(error))
        return f"{where[1] if where else 'configuration'}: {error.__cause__}"
    return one_line(error) if isinstance(error, HydraException | OmegaConfBaseException) else None


def _remedy(error: OSError) -> str | None:
    """What the user can do about an error of the operating system; None if it is a bug."""
    if error.errno in (errno.ENOENT, errno.EINVAL) and traceback.extract_tb(error.__traceback__)[-1].name == "mkdir":
        # Some places do not allow new folders, for example /proc. Without mkdir, a missing file is a bug.
        return "a folder cannot be created there; choose another one"
    for remedy, numbers in REMEDIES.items():
        if error.errno in numbers:
            return remedy
    return None


def _exit_code(error: Exception) -> int:
    return 1 if _reason(error) is None else 2


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__
