"""How a Weights & Biases run begins and ends: no prompt, no facts about the machine, nothing outside the run folder."""

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
from segment.privacy import without_paths_in_log

log = logging.getLogger(__name__)

REACH_SECONDS = 10  # for the server's first answer; without one the run is offline
INIT_SECONDS = 30  # for what follows
# For the last uploads; what is not done then can be synced later. A run that was told to end has no more than 120 s.
FINISH_SECONDS = 30
MODES = {"online": "online", "run": "online", "offline": "offline", "dryrun": "offline", "disabled": "disabled"}


def chosen_mode(offline: bool | None) -> str:
    """`offline`, `online` or `disabled`: as told, else as WANDB_MODE says, else online if there is a key.

    Raises:
        UserError: When WANDB_MODE is another word.
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
    """Let wandb keep caches, and the log of its service, in a run folder, not at home, unless told where.

    The service, once started, lives as long as this process.
    """
    names = [name for name in ("WANDB_CACHE_DIR", "WANDB_DATA_DIR") if name not in os.environ]
    os.environ.update(dict.fromkeys(names, str((folder / "wandb" / "cache").resolve())))
    try:
        yield
    finally:
        for name in names:
            os.environ.pop(name, None)


def start_session(folder: Path, mode: str, about: Mapping[str, Any]) -> Any:  # noqa: ANN401
    """Begin or go on with the run of a run folder; where no server answers within seconds, offline.

    Args:
        folder: The run folder. `wandb/run_id` in it makes the run the same for every process.
        mode: `online` or `offline`.
        about: More arguments of `wandb.init`: project, name, group and so on.

    Raises:
        OSError: When the folder cannot be written.
        Exception: What else wandb fails by.
    """
    own = folder / "wandb"
    own.mkdir(parents=True, exist_ok=True)
    if not os.access(own, os.W_OK):  # wandb would write to the temporary folder
        msg = f"{own} cannot be written"
        raise PermissionError(msg)
    if mode == "offline":
        return _init(folder, mode, about)
    log.info("connecting to Weights & Biases, for at most %d s", REACH_SECONDS + INIT_SECONDS)
    try:
        _reach(wandb.setup(settings=wandb.Settings(silent=True)).settings.base_url)
        return _init(folder, mode, about)
    except Exception as error:
        log.warning(
            "Weights & Biases cannot be reached, so the run is logged offline; upload it later with "
            "`wandb sync <run folder>/wandb/offline-run-*`: %s",
            without_paths_in_log(str(error)),
        )
        wandb.teardown()  # the service holds the run's id
        return _init(folder, "offline", about)


def end_run(run: Any, folder: Path, exit_code: int) -> None:  # noqa: ANN401
    """End it, or the next job of a sweep would log into it, and drop wandb's own logs, which tell paths."""
    logs = run.settings.log_dir
    if not run.offline:
        log.info("uploading the last to Weights & Biases, for at most %d s", FINISH_SECONDS)
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
    """Remove what earlier processes of the run have left of it."""
    for older in (folder / "wandb").glob(f"*run-*-{run.id}"):
        if older.name != Path(run.settings.sync_dir).name:
            shutil.rmtree(older, ignore_errors=True)


def _init(folder: Path, mode: str, about: Mapping[str, Any]) -> Any:  # noqa: ANN401
    # Meta data, and the host by default, would tell the host's name, the user's and absolute paths.
    settings = wandb.Settings(
        silent=True,
        console="off",
        host="",
        program="segment",
        symlink=False,
        disable_git=True,
        x_disable_meta=True,
        x_disable_stats=True,
        init_timeout=INIT_SECONDS,
        finish_timeout=FINISH_SECONDS,
        mode=mode,
        resume="allow" if mode == "online" else None,
    )
    return wandb.init(**about, id=_id(folder), dir=str(folder), settings=settings)


def _reach(url: str) -> None:
    """Wait for any answer of the server: wandb itself asks again and again until its time is over.

    Raises:
        OSError: When there is none within `REACH_SECONDS`.
    """
    with suppress(HTTPError):  # an answer
        urlopen(url, timeout=REACH_SECONDS).close()


def _id(folder: Path) -> str:
    path = folder / "wandb" / "run_id"
    if not path.exists():
        # Where `wandb agent` has started this process, the server has given the run an id already.
        given = os.environ.get("WANDB_RUN_ID") if "WANDB_SWEEP_ID" in os.environ else None
        write_text(path, given or uuid4().hex[:8])
    return path.read_text(encoding="utf-8").strip()


def _has_key() -> bool:
    if "WANDB_API_KEY" in os.environ:
        return True
    # The server has moved; `wandb login` of earlier versions left its key under the old name.
    given = os.environ.get("WANDB_BASE_URL")
    servers = [given] if given else [wandb.Settings().base_url, "https://api.wandb.ai"]
    with suppress(OSError, netrc.NetrcParseError):
        keys = netrc.netrc(os.environ.get("NETRC"))
        return any(keys.authenticators(urlsplit(server).hostname or "") for server in servers)
    return False
