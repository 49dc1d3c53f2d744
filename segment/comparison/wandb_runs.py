"""Downloads runs from a Weights & Biases server."""

import re
from pathlib import Path
from typing import Any

from segment.errors import UserError

WANDB_PATH = re.compile(r"(?:wandb:)?[\w.-]+/[\w.-]+/[\w.-]+")
_CONFIG = "run/config.yaml"  # W&B writes its own config.yaml in another format
_FILES = ("cases.csv", "split.json", "environment.json", _CONFIG)


def fetch(path: str, folder: Path) -> Path:
    """Download the files of a run that a comparison needs.

    Args:
        path: `entity/project/run_id`, optionally after `wandb:`.
        folder: Folder to create.

    Returns:
        The folder, which can then be read like a run folder.

    Raises:
        UserError: If the server cannot be reached, has no such run, or the run did not log one of the files.
    """
    import wandb  # imported late: it takes a second, and most comparisons need folders only

    wandb.setup(settings=wandb.Settings(silent=True))  # otherwise it prints where it found the key
    try:
        run = wandb.Api().run(path.removeprefix("wandb:"))
        files = {file.name: file for file in run.files(names=list(_FILES))}
    except (wandb.errors.Error, ValueError, OSError) as error:
        no_folder = "" if path.startswith("wandb:") else f"there is no folder {path} here, and "
        msg = (
            f"{no_folder}cannot get {path} from W&B ({_first_line(error)}); check the path, the network and "
            "`wandb login`"
        )
        raise UserError(msg) from error
    missing = [name for name in _FILES if name not in files]
    if missing:
        msg = f"{path} has no {', '.join(missing)} on W&B; compare its run folder, or a run that was tested"
        raise UserError(msg)
    folder.mkdir(parents=True)
    for file in files.values():
        _download(file, path, folder)
    (folder / _CONFIG).rename(folder / "config.yaml")
    return folder


def _download(file: Any, path: str, folder: Path) -> None:  # noqa: ANN401  # wandb's own type is not public
    import wandb

    try:
        file.download(root=str(folder), replace=True).close()
    except (wandb.errors.Error, OSError) as error:
        msg = f"cannot download {file.name} of {path} ({_first_line(error)}); try again"
        raise UserError(msg) from error


def _first_line(error: Exception) -> str:
    return next(iter(str(error).splitlines()), type(error).__name__)
