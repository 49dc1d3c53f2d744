"""What a run and its group are called in Weights & Biases, out of the files of the run folder.

Names come from what the first process of a run left, so that a resume does not change them.
"""

import json
import re
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Any

import yaml

from segment.configuration.values import OF_CALL
from segment.run.folder import ENVIRONMENT
from segment.run.recipe import is_free

MOST = 100  # characters; W&B takes 128
_SHOWN = {"from_run", "seed"}  # last names of keys that a comparison leaves free, but that tell runs apart
_DATE = re.compile(r"(\d{4}-\d\d-\d\d_\d\d-\d\d)-\d\d")
_FOLDERS = re.compile(r"[^\s\"'\[\](){},:]*[/\\]+")


def run_name(folder: Path) -> str:
    """What the overrides of a run change: `base_channels=16 seed=0`; without any `quick 2026-11-29_16-00`.

    Left out is what tells nothing of the result, and the experiment, after which the group is called. A key is cut to
    its last names, as long as these name no other key; of a path the last name stays.

    Args:
        folder: The run folder. Without environment.json or config.yaml the run is called after the folder.
    """
    facts, config = _facts(folder), _config(folder)
    overrides = [override for override in map(_parsed, facts.get("overrides", [])) if _tells(override[0])]
    keys = [key for key, _ in overrides]
    words = [_word(_short(key, keys, config), value) for key, value in overrides]
    if not words:
        return " ".join(filter(None, (config.get("task"), _DATE.sub(r"\1", folder.resolve().name))))
    name = " ".join(words)
    return name if len(name) <= MOST else f"{name[: MOST - 1]}…"


def run_group(folder: Path) -> str | None:
    """`quick/2026-11-29_16-00-00` for jobs of a grid; else the task, or None where that is unknown."""
    task, sweep = _config(folder).get("task"), _facts(folder).get("sweep")
    return "/".join(filter(None, (task, sweep))) or None


def _facts(folder: Path) -> dict[str, Any]:
    path = folder / ENVIRONMENT
    facts: dict[str, Any] = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    return facts


def _config(folder: Path) -> dict[str, Any]:
    path = folder / "config.yaml"
    config: dict[str, Any] = yaml.safe_load(path.read_text(encoding="utf-8")) if path.exists() else {}
    return config


def _parsed(override: str) -> tuple[str, str | None]:
    """Dotted key and value of an override; None as the value of a key that it removes (`~callbacks.early_stopping`)."""
    key, equals, value = override.partition("=")
    is_removed = key.startswith("~")
    name = key.lstrip("+~").replace("/", ".").partition("@")[0]
    return name, None if is_removed or not equals else value


def _tells(key: str) -> bool:
    top, last = key.split(".")[0], key.split(".")[-1]
    return last in _SHOWN or not (is_free(key) or top in OF_CALL or top == "experiment")


def _short(key: str, keys: Sequence[str], config: Collection[str]) -> str:
    """The fewest last names of a key that are the last names of no other, nor a key at the top of the configuration."""
    parts = key.split(".")
    for count in range(1, len(parts)):
        short = ".".join(parts[-count:])
        others = [other for other in keys if other != key and f".{other}".endswith(f".{short}")]
        if short not in config and not others:
            return short
    return key


def _word(key: str, value: str | None) -> str:
    if value is None:
        return f"no {key}"
    plain = value.strip("'\"")
    is_list = plain.startswith(("[", "{"))
    plain = _FOLDERS.sub("", plain) if is_list else re.split(r"[/\\]", plain.rstrip("/\\"))[-1]
    try:
        number = float(plain)
    except ValueError:
        return f"{key}={plain}"
    return f"{key}={plain if plain.lstrip('+-').isdigit() else f'{number:.4g}'}"
