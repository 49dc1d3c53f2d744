"""`from_run`: repeat an earlier run with its configuration, and compare the environments and scores of both."""

import json
import logging
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig, OmegaConf

from segment.configuration.check import validate_config
from segment.configuration.composition import compose_config, spellings
from segment.configuration.roles import role
from segment.configuration.values import (
    differing_keys,
    flatten,
    is_at_or_below,
    override_key,
    portable,
    referenced_keys,
)
from segment.errors import UserError
from segment.metrics.cases_csv import read_cases
from segment.metrics.scores import OrganScore
from segment.run.folder import ENVIRONMENT, process_records

log = logging.getLogger(__name__)

COMPARED = ("git", "python", "platform", "cpu_cores", "torch_threads", "gpus", "cuda")
MAX_LISTED = 4  # cases in a message


def repeated_config(cfg: DictConfig) -> DictConfig:
    """The configuration of the run `cfg.from_run`, changed by the overrides of this call.

    It is composed again from the overrides in environment.json, so that its paths are those of this machine. If the
    result differs from config.yaml because `conf/` has changed since, the values in config.yaml are used.

    Raises:
        UserError: When `from_run` is not a run folder, or there is no command line.
    """
    folder = Path(cfg.from_run)
    if not HydraConfig.initialized():
        msg = "from_run reads the overrides of a command line; run `segment train from_run=…` instead of train(cfg)"
        raise UserError(msg)
    if not (folder / "config.yaml").exists() or not (folder / ENVIRONMENT).exists():
        msg = f"from_run={folder} is not a run folder: it lacks config.yaml or environment.json; name another one"
        raise UserError(msg)
    environment = json.loads((folder / ENVIRONMENT).read_text(encoding="utf-8"))
    before = []
    for override in environment.get("overrides", []):
        if role(override_key(override)).from_run == "earlier":
            before.append(override)
    now = list(HydraConfig.get().overrides.task)
    first = compose_config("train", [*before, "run_dir=."])
    result = compose_config("train", [*before, *now])
    _undo_changes_of_conf(result, first, folder, now)
    return validate_config("train", result, spellings([*before, *now]))


def _undo_changes_of_conf(result: DictConfig, first: DictConfig, folder: Path, overrides: Sequence[str]) -> None:
    """Set the values of `result` that have changed in `conf/` since the earlier run back to those of config.yaml.

    Args:
        result: The configuration with all overrides; it is modified.
        first: The configuration with the overrides of the earlier run alone.
        folder: Folder of the earlier run.
        overrides: Overrides of this call; the keys that they set keep their values.
    """
    recorded = flatten(OmegaConf.to_container(OmegaConf.load(folder / "config.yaml")))
    composed_now = flatten(portable(first))
    overridden = [override_key(override).replace("/", ".") for override in overrides]
    unresolved = flatten(OmegaConf.to_container(first, resolve=False))
    for key in differing_keys(recorded, composed_now):
        if role(key).from_run == "call" or _is_defined_elsewhere(key, unresolved):
            continue
        if any(is_at_or_below(key, name) for name in overridden):
            continue
        values = recorded.get(key), composed_now.get(key)
        log.warning("conf/ has changed since %s: %s stays %s, although conf/ now has %s", folder, key, *values)
        present = flatten(portable(result))
        if key in present and key not in recorded:
            _remove(result, key)
        elif key in recorded and present.get(key) == composed_now.get(key):  # otherwise an override changed it
            OmegaConf.update(result, key, recorded[key], force_add=True)


def _is_defined_elsewhere(key: str, unresolved: Mapping[str, Any]) -> bool:
    """Whether a value comes from another key that is compared itself, or from an option of the call.

    The former are the values below a reference, such as `model.net: ${net}`. An example of the latter is the folder
    `${cache_dir}/phantom`, which is that of this machine.
    """
    names = referenced_keys(key, unresolved)
    is_below_reference = bool(names) and key not in unresolved
    return is_below_reference or any(role(name).from_run == "call" for name in names)


def _remove(cfg: DictConfig, key: str) -> None:
    parent, _, name = key.rpartition(".")
    node = OmegaConf.select(cfg, parent) if parent else cfg
    OmegaConf.set_struct(cfg, False)
    del node[name]
    OmegaConf.set_struct(cfg, True)


def resume_differences(folder: Path) -> list[str]:
    """Differences between the last two processes of a run, one sentence each, as in `environment_differences`."""
    processes = process_records(json.loads((folder / ENVIRONMENT).read_text(encoding="utf-8")))
    return _differences(*processes[-2:]) if len(processes) > 1 else []


def environment_differences(before: Path, after: Path) -> list[str]:
    """Differences between two run folders' environment.json that may change the scores, one sentence each."""
    one, other = (json.loads((run / ENVIRONMENT).read_text(encoding="utf-8")) for run in (before, after))
    return _differences(process_records(one)[-1], process_records(other)[-1])


def _differences(one: Mapping[str, Any], other: Mapping[str, Any]) -> list[str]:
    sentences = []
    for key in COMPARED:
        if one.get(key) != other.get(key):
            sentences.append(f"{key} was {_short(one.get(key))}, is now {_short(other.get(key))}")
    packages, packages_now = one.get("packages", {}), other.get("packages", {})
    for name in differing_keys(packages, packages_now):
        sentences.append(f"{name} was {packages.get(name)}, is now {packages_now.get(name)}")
    return sentences + _case_differences(one.get("volumes", {}), other.get("volumes", {}))


def _short(value: Any) -> Any:  # noqa: ANN401
    """Shorten a git record to the commit and whether there are changes; return other values unchanged."""
    if not isinstance(value, dict) or "sha" not in value:
        return value
    is_changed = value.get("diff") or value.get("untracked")
    return f"{value['sha'][:10]}{' with changes' if is_changed else ''}"


def _case_differences(before: Mapping[str, str], now: Mapping[str, str]) -> list[str]:
    differing = {
        "missing now": before.keys() - now.keys(),
        "new": now.keys() - before.keys(),
        "with other content or other preprocessing": {
            name for name in before.keys() & now.keys() if before[name] != now[name]
        },
    }
    sentences = []
    for what, cases in differing.items():
        if cases:
            names = sorted(cases)
            sentences.append(f"cases {what}: {', '.join(names[:MAX_LISTED])}{' …' if len(names) > MAX_LISTED else ''}")
    return sentences


def compare_scores(before: Path, after: Path) -> str:
    """Compare the Dice scores of two runs, and return the result as a sentence.

    Args:
        before: cases.csv of the first run.
        after: cases.csv of the second run.
    """
    one = {(case, score.organ): score for case, score in read_cases(before)}
    other = {(case, score.organ): score for case, score in read_cases(after)}
    if not one and not other:
        return "there are no test scores to compare"
    if one.keys() != other.keys():
        return "the scores cannot be compared: other cases or organs were tested"
    differences = {key: _difference(one[key], other[key]) for key in one}
    worst = max(differences, key=lambda key: differences[key])
    if before.read_text(encoding="utf-8") == after.read_text(encoding="utf-8"):
        return f"the scores are equal: all numbers in {len(one)} rows, to the last digit"
    if differences[worst] == 0:
        return f"Dice is equal in all {len(one)} rows, to the last digit, but other columns differ"
    changed = sum(difference > 0 for difference in differences.values())
    return (
        f"the scores differ: Dice differs in {changed} of {len(one)} rows, by at most {differences[worst]:.4f} "
        f"({worst[1]} in {worst[0]})"
    )


def _difference(one: OrganScore, other: OrganScore) -> float:
    """Absolute difference in Dice; 1 if only one of the two has a Dice, 0 if neither has."""
    if math.isnan(one.dice) or math.isnan(other.dice):
        return float(math.isnan(one.dice) != math.isnan(other.dice))
    return abs(one.dice - other.dice)
