"""Start and end a Weights & Biases run without prompts, facts about the machine, or files outside the run folder."""

import logging
import netrc
import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any
from urllib.error import HTTPError
from urllib.parse import urlsplit
from urllib.request import urlopen
from uuid import uuid4

import wandb

from segment.errors import UserError
from segment.files import write_text
from segment.loggers.wandb_internals import NO_MACHINE_FACTS
from segment.privacy import without_paths_in_log

log = logging.getLogger(__name__)

REACH_SECONDS = 10  # for the first answer of the server; without one the run is offline
INIT_SECONDS = 30  # for the rest of the start
# For the last uploads; the rest can be synced later. After a signal, a run has at most 120 s to end.
FINISH_SECONDS = 30
MODES = {"online": "online", "run": "online", "offline": "offline", "dryrun": "offline", "disabled": "disabled"}


def choose_mode(offline: bool | None) -> str:
    """The mode of a run: `offline`, `online` or `disabled`.

    Args:
        offline: The choice of the configuration. None uses WANDB_MODE; without it, the run is online if there is a key.

    Raises:
        UserError: When WANDB_MODE has another value.
    """
    if offline is not None:
        return "offline" if offline else "online"
    mode = os.environ.get("WANDB_MODE") or ("online" if _has_key() else "offline")
    if mode not in MODES:
        msg = f"WANDB_MODE must be online, offline or disabled, got {mode!r}; set it to one of them or unset it"
        raise UserError(msg)
    return MODES[mode]


@contextmanager
def caches_in(folder: Path) -> Iterator[None]:
    """Put wandb's caches and the log of its service into a run folder, unless environment variables name another one.

    By default they are in the home folder. The service reads the variables when it starts, and runs as long as this
    process.
    """
    names = [name for name in ("WANDB_CACHE_DIR", "WANDB_DATA_DIR") if name not in os.environ]
    os.environ.update(dict.fromkeys(names, str((folder / "wandb" / "cache").resolve())))
    try:
        yield
    finally:
        for name in names:
            os.environ.pop(name, None)


def start_session(folder: Path, mode: str, about: Mapping[str, Any]) -> Any:  # noqa: ANN401
    """Start or resume the W&B run of a run folder. If the server does not answer within seconds, the run is offline.

    Args:
        folder: The run folder. Its `wandb/run_id` holds the id, which all processes of the run share.
        mode: `online` or `offline`.
        about: More arguments of `wandb.init`: project, name, group and so on.

    Raises:
        OSError: When the folder cannot be written.
        Exception: Any other error of wandb.
    """
    wandb_folder = folder / "wandb"
    wandb_folder.mkdir(parents=True, exist_ok=True)
    if not os.access(wandb_folder, os.W_OK):  # wandb would silently write to the temporary folder
        msg = f"{wandb_folder} cannot be written"
        raise PermissionError(msg)
    if mode == "offline":
        return _init(folder, mode, about)
    log.info("connecting to Weights & Biases, for at most %d s", REACH_SECONDS + INIT_SECONDS)
    try:
        _wait_for_answer(wandb.setup(settings=wandb.Settings(silent=True)).settings.base_url)
        return _init(folder, mode, about)
    except Exception as error:
        log.warning(
            "Weights & Biases cannot be reached, so the run is logged offline; upload it later with "
            "`wandb sync <run folder>/wandb/offline-run-*`: %s",
            without_paths_in_log(str(error)),
        )
        wandb.teardown()  # the service has registered the run's id, which could not be used again
        return _init(folder, "offline", about)


def end_run(run: Any, folder: Path, exit_code: int) -> None:  # noqa: ANN401
    """End a run, and remove wandb's own logs, which contain paths of this machine.

    Call this even after an error: the next job of a sweep would log into a run that is still open.
    """
    logs = run.settings.log_dir
    if not run.offline:
        log.info("uploading the last data to Weights & Biases, for at most %d s", FINISH_SECONDS)
    try:
        run.finish(exit_code=exit_code)
    except Exception as error:
        log.warning(
            "the upload to Weights & Biases is not complete (%s); finish it with `wandb sync <run folder>/wandb/run-*`",
            error,
        )
    shutil.rmtree(logs, ignore_errors=True)
    shutil.rmtree(folder / "wandb" / "cache", ignore_errors=True)


def remove_older(run: Any, folder: Path) -> None:  # noqa: ANN401
    """Remove the W&B folders of earlier processes of the run."""
    for older in (folder / "wandb").glob(f"*run-*-{run.id}"):
        if older.name != Path(run.settings.sync_dir).name:
            shutil.rmtree(older, ignore_errors=True)


def _init(folder: Path, mode: str, about: Mapping[str, Any]) -> Any:  # noqa: ANN401
    # By default wandb records the names of the host and the user, and absolute paths.
    settings = wandb.Settings(
        silent=True,
        console="off",
        host="",
        program="segment",
        symlink=False,
        disable_git=True,
        init_timeout=INIT_SECONDS,
        finish_timeout=FINISH_SECONDS,
        mode=mode,
        resume="allow" if mode == "online" else None,
        **NO_MACHINE_FACTS,
    )
    return wandb.init(**about, id=_id(folder), dir=str(folder), settings=settings)


def _wait_for_answer(url: str) -> None:
    """Wait for any answer of the server. wandb itself would retry until its own timeout.

    Raises:
        OSError: When there is none within `REACH_SECONDS`.
    """
    with suppress(HTTPError):  # an error code is an answer, too
        urlopen(url, timeout=REACH_SECONDS).close()


def _id(folder: Path) -> str:
    path = folder / "wandb" / "run_id"
    if not path.exists():
        # If `wandb agent` started this process, the server has already assigned an id.
        given = os.environ.get("WANDB_RUN_ID") if "WANDB_SWEEP_ID" in os.environ else None
        write_text(path, given or uuid4().hex[:8])
    return path.read_text(encoding="utf-8").strip()


def _has_key() -> bool:
    if "WANDB_API_KEY" in os.environ:
        return True
    # The server has a new address. `wandb login` of earlier versions stored the key under the old one.
    given = os.environ.get("WANDB_BASE_URL")
    servers = [given] if given else [wandb.Settings().base_url, "https://api.wandb.ai"]
    with suppress(OSError, netrc.NetrcParseError):
        keys = netrc.netrc(os.environ.get("NETRC"))
        return any(keys.authenticators(urlsplit(server).hostname or "") for server in servers)
    return False
