"""Names of a run and its group in Weights & Biases, built from the files of the run folder.

Names depend only on the first process of a run, so a resume does not change them.
"""

import json
import re
from collections.abc import Collection, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import yaml

from segment.configuration.roles import is_free
from segment.run.folder import ENVIRONMENT

MAX_LENGTH = 100  # characters; W&B allows 128
# Last parts of keys that are kept in the name although comparisons ignore them, because they distinguish runs.
_KEPT = {"from_run", "seed"}
_DATE = re.compile(r"(\d{4}-\d\d-\d\d_\d\d-\d\d)-\d\d")
_FOLDERS = re.compile(r"[^\s\"'\[\](){},:]*[/\\]+")


def run_name(folder: Path) -> str:
    """The overrides of a run, e.g. `base_channels=16 seed=0`; without any, its task and date.

    Overrides that do not affect the result are left out, as is the experiment, which is the name of the group. A key is
    shortened to its last parts if these are unambiguous, e.g. `model.net.base_channels` to `base_channels`. A path is
    shortened to its last part. The default is e.g. `quick 2026-11-29_16-00`.

    Args:
        folder: The run folder. Without environment.json or config.yaml the name is that of the folder.
    """
    record, config = _environment(folder), _config(folder)
    overrides = [_parse(override) for override in record.get("overrides", [])]
    overrides = [(key, value) for key, value in overrides if _is_kept(key)]
    keys = [key for key, _ in overrides]
    words = [_format(_shorten(key, keys, config), value) for key, value in overrides]
    if not words:
        return " ".join(filter(None, (config.get("task"), _DATE.sub(r"\1", folder.resolve().name))))
    name = " ".join(words)
    return name if len(name) <= MAX_LENGTH else f"{name[: MAX_LENGTH - 1]}…"


def run_group(folder: Path) -> str | None:
    """The task and, for jobs of a sweep, the sweep, e.g. `quick/2026-11-29_16-00-00`; None if neither is known."""
    task, sweep = _config(folder).get("task"), _environment(folder).get("sweep")
    return "/".join(filter(None, (task, sweep))) or None


def _environment(folder: Path) -> dict[str, Any]:
    path = folder / ENVIRONMENT
    record: dict[str, Any] = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    return record


def _config(folder: Path) -> dict[str, Any]:
    path = folder / "config.yaml"
    config: dict[str, Any] = yaml.safe_load(path.read_text(encoding="utf-8")) if path.exists() else {}
    return config


def _parse(override: str) -> tuple[str, str | None]:
    """Dotted key and value of an override. The value of a removed key (`~callbacks.early_stopping`) is None."""
    key, equals, value = override.partition("=")
    is_removed = key.startswith("~")
    name = key.lstrip("+~").replace("/", ".").partition("@")[0]
    return name, None if is_removed or not equals else value


def _is_kept(key: str) -> bool:
    """Whether an override of this key is a part of the name."""
    parts = key.split(".")
    if parts[-1] in _KEPT:
        return True
    return not is_free(key) and parts[0] != "experiment"


def _shorten(key: str, keys: Sequence[str], config: Collection[str]) -> str:
    """The shortest end of a key that is neither the end of another key nor a top-level key of the configuration.

    For example, `optimizer.lr` becomes `lr` if no other key ends in `lr`.
    """
    parts = key.split(".")
    for count in range(1, len(parts)):
        short = ".".join(parts[-count:])
        others = [other for other in keys if other != key and f".{other}".endswith(f".{short}")]
        if short not in config and not others:
            return short
    return key


def _format(key: str, value: str | None) -> str:
    if value is None:
        return f"no {key}"
    plain = value.strip("'\"")
    is_list = plain.startswith(("[", "{"))
    plain = _FOLDERS.sub("", plain) if is_list else re.split(r"[/\\]", plain.rstrip("/\\"))[-1]
    if plain.lstrip("+-").isdigit():
        return f"{key}={plain}"
    with suppress(ValueError):
        plain = f"{float(plain):.4g}"
    return f"{key}={plain}"
