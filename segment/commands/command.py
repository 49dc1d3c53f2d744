"""How a command runs as a Hydra application and how its errors end."""

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

from segment.commands.multirun import Job, table
from segment.configuration.arguments import taken_apart
from segment.configuration.check import checked
from segment.configuration.composition import not_composed, spellings
from segment.configuration.explanation import one_line
from segment.configuration.values import config_dir
from segment.errors import UserError
from segment.files import remove_if_empty

FULL_ERROR = "HYDRA_FULL_ERROR"
# What the system refuses and a user can mend, with what helps; other errors of it are bugs.
REFUSALS = {
    "check your rights there, or choose another folder": (errno.EACCES, errno.EPERM),
    "choose a folder that can be written": (errno.EROFS, errno.ENODEV, errno.ENXIO, errno.ENOTSUP, errno.ENOSYS),
    "free space, or choose a folder on another disk": (errno.ENOSPC, errno.EDQUOT, errno.EFBIG),
    "choose another folder, or move what is there away": (errno.EEXIST, errno.ENOTDIR, errno.EISDIR, errno.ENOTEMPTY),
    "choose a shorter name, without links that lead back to themselves": (errno.ENAMETOOLONG, errno.ELOOP),
    "end what uses it, and run the same command again": (errno.EBUSY, errno.ETXTBSY),
    "check the disk or the network it is on, and run the same command again": (errno.EIO, errno.ESTALE, errno.ENOTCONN),
}


def hydra_command(config_name: str) -> Callable[[Callable[[Any], Any]], Callable[[], None]]:
    """Make a function of a composed configuration a command.

    What a user has to mend (`UserError`, an unknown override, a missing value) ends in one sentence on stderr and exit
    code 2; `HYDRA_FULL_ERROR=1` shows the traceback. Anything else is a bug, which shows it always and ends with 1. A
    sweep goes on with its other jobs and ends with the code of its worst one.
    """

    def decorate(task: Callable[[Any], Any]) -> Callable[[], None]:
        def main() -> None:
            # argparse takes overrides before its options or behind them, but not on both sides.
            arguments = taken_apart(sys.argv[1:])
            sys.argv[1:] = [*arguments.options, *arguments.rest]
            verbose = os.environ.get(FULL_ERROR) == "1"
            failed: list[Exception] = []
            ended: list[Job] = []

            @functools.wraps(task)
            def job(cfg: Any) -> Any:  # noqa: ANN401
                try:
                    # Processes that the task starts find the variable as the user set it.
                    with _full_error("1" if verbose else None):
                        overrides = HydraConfig.get().overrides.task
                        score = task(checked(config_name, cfg, spellings(overrides)))
                    if HydraConfig.get().mode == RunMode.MULTIRUN:
                        ended.append(_job(f"{score:.4f}" if isinstance(score, float) else "done"))
                    return score
                except Exception as error:
                    if HydraConfig.get().mode != RunMode.MULTIRUN:
                        _show(error, verbose)
                        sys.exit(_exit_code(error))
                    failed.append(error)
                    print(f"job {HydraConfig.get().job.num} of the sweep failed", file=sys.stderr)
                    _show(error, verbose)
                    ended.append(_job(f"failed: {_reason(error) or repr(error)}"))
                    raise
                finally:
                    remove_if_empty(Path(HydraConfig.get().runtime.output_dir), cfg.get("output_dir"))

            try:
                with _full_error("1"):  # Hydra then lets errors through to here
                    hydra.main(version_base="1.3", config_path=config_dir(), config_name=config_name)(job)()
            except Exception as error:
                if not failed:  # else it is the first of these, shown already
                    if isinstance(error, HydraException):
                        error = not_composed(error, config_name, arguments)
                    _show(error, verbose)
                sys.exit(min(map(_exit_code, failed or [error])))
            finally:
                if ended:
                    print(table(ended))

        return main

    return decorate


def _job(result: str) -> Job:
    """The job that runs, with what came of it."""
    hydra_cfg = HydraConfig.get()
    folder = os.path.relpath(hydra_cfg.runtime.output_dir)
    return Job(hydra_cfg.job.num, list(hydra_cfg.overrides.task), result, folder)


@contextmanager
def _full_error(value: str | None) -> Iterator[None]:
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
    """What the user has to mend, in one sentence; None for a bug."""
    for cause in _chain(error):
        if isinstance(cause, UserError):
            return str(cause)
    if isinstance(error, OSError) and (remedy := _against(error)):
        return f"{error.strerror}: {error.filename or 'writing a file'}; {remedy}"
    if type(error).__module__.startswith("submitit."):  # a job on another machine; not imported: it may not be there
        what = " ".join(str(error).split("\n")[:2])  # the rest is its log
        rest = "; what else was sent goes on by itself, and resume=true takes this job up"
        return what + (rest if what.startswith("Job ") else "")
    if isinstance(error, RuntimeError) and "are you indeed on a slurm cluster" in str(error):
        return "there is no SLURM here: srun is not found; start the sweep where sbatch works, or without this launcher"
    if isinstance(error, InstantiationException) and error.__cause__ is not None:
        where = re.search(r"full_key: (\S+)", str(error))
        return f"{where[1] if where else 'configuration'}: {error.__cause__}"
    return one_line(error) if isinstance(error, HydraException | OmegaConfBaseException) else None


def _against(error: OSError) -> str | None:
    """What helps against a refusal of the system; None when it is none."""
    if error.errno in (errno.ENOENT, errno.EINVAL) and traceback.extract_tb(error.__traceback__)[-1].name == "mkdir":
        # /proc, say, lets nobody make a folder; a file that is missing or misnamed is a bug.
        return "no folder can be made there, choose another one"
    return next((remedy for remedy, numbers in REFUSALS.items() if error.errno in numbers), None)


def _exit_code(error: Exception) -> int:
    return 1 if _reason(error) is None else 2


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__
