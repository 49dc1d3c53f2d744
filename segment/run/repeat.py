"""`from_run`: the configuration of an earlier run once more, and whether its scores come out again."""

import json
import logging
import math
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig, OmegaConf

from segment.configuration.check import checked
from segment.configuration.composition import composed, spellings
from segment.configuration.values import flat, portable
from segment.errors import UserError
from segment.metrics.cases_csv import read_cases
from segment.metrics.scores import OrganScore
from segment.run.folder import ENVIRONMENT, processes_of

log = logging.getLogger(__name__)

# Who calls, and where he writes, is this run's own.
OWN = (
    "from_run",
    "preflight",
    "label_check",
    "anatomy",
    "resume",
    "allow_changed",
    "run_dir",
    "output_dir",
    "cache_dir",
)


def repeated(cfg: DictConfig) -> DictConfig:
    """The configuration of the run `cfg.from_run`, with what the overrides of this call change.

    It is composed anew from the overrides that environment.json holds, which gives paths as they are on this machine.
    Where the result is not what config.yaml says, because `conf/` has changed since, config.yaml is right.

    Raises:
        UserError: When that is no run folder.
    """
    folder = Path(cfg.from_run)
    if not HydraConfig.initialized():
        msg = "from_run reads the overrides of a command line; run `segment train from_run=…` instead of train(cfg)"
        raise UserError(msg)
    if not (folder / "config.yaml").exists() or not (folder / ENVIRONMENT).exists():
        msg = f"from_run={folder} is not a run folder: it lacks config.yaml or environment.json; name another one"
        raise UserError(msg)
    facts = json.loads((folder / ENVIRONMENT).read_text(encoding="utf-8"))
    before = [o for o in facts.get("overrides", []) if o.lstrip("+~").split("=")[0] not in OWN]
    now = list(HydraConfig.get().overrides.task)
    first = composed("train", [*before, "run_dir=."])
    result = composed("train", [*before, *now])
    there, here = flat(OmegaConf.to_container(OmegaConf.load(folder / "config.yaml"))), flat(portable(first))
    drift = {key for key in there.keys() | here.keys() if there.get(key) != here.get(key)}
    named = {o.lstrip("+~").split("=")[0].replace("/", ".") for o in now}
    referring = _referring(OmegaConf.to_container(first, resolve=False))
    for key in sorted(drift):
        if key.split(".")[0] in OWN or any(key.startswith(f"{node}.") for node in referring):
            continue
        if any(key == name or key.startswith(f"{name}.") for name in named):  # this call says it
            continue
        if key != "init_sha256":  # which is filled in, and has to be that of the same file again
            held = there.get(key), folder, here.get(key)
            log.warning("conf/ has changed: %s is %s, from %s, where conf/ now has %s", key, *held)
        if key in flat(portable(result)) and key not in there:
            _remove(result, key)
        elif key in there and flat(portable(result)).get(key) == here.get(key):  # else this call overrides it
            OmegaConf.update(result, key, there[key], force_add=True)
    return checked("train", result, spellings([*before, *now]))


def _referring(node: Any, prefix: str = "") -> list[str]:  # noqa: ANN401
    """Keys of what is nothing but a reference (`${...}`): what lies within is said elsewhere."""
    if isinstance(node, dict):
        return [path for key, value in node.items() for path in _referring(value, f"{prefix}.{key}" if prefix else key)]
    return [prefix] if isinstance(node, str) and re.fullmatch(r"\$\{[\w.]+\}", node) else []


def _remove(cfg: DictConfig, key: str) -> None:
    parent, _, name = key.rpartition(".")
    node = OmegaConf.select(cfg, parent) if parent else cfg
    OmegaConf.set_struct(cfg, False)
    del node[name]
    OmegaConf.set_struct(cfg, True)


def tell_resumed(folder: Path) -> list[str]:
    """What differs between the last two processes of a run, as `tell_environment`."""
    facts = json.loads((folder / ENVIRONMENT).read_text(encoding="utf-8"))
    processes = processes_of(facts)
    return _differences(*processes[-2:]) if len(processes) > 1 else []


def tell_environment(before: Path, after: Path) -> list[str]:
    """What differs between the records of two runs that may make their scores differ, one sentence each."""
    one, other = (json.loads((run / ENVIRONMENT).read_text(encoding="utf-8")) for run in (before, after))
    return _differences(processes_of(one)[-1], processes_of(other)[-1])


def _differences(one: Mapping[str, Any], other: Mapping[str, Any]) -> list[str]:
    told = []
    for key in ("git", "python", "platform", "cpu_cores", "torch_threads", "gpus", "cuda"):
        if one.get(key) != other.get(key):
            told.append(f"{key} was {_short(one.get(key))}, is {_short(other.get(key))}")
    packages, packages_now = one.get("packages", {}), other.get("packages", {})
    for name in sorted(packages.keys() | packages_now.keys()):
        if packages.get(name) != packages_now.get(name):
            told.append(f"{name} was {packages.get(name)}, is {packages_now.get(name)}")
    return told + _other_cases(one.get("volumes", {}), other.get("volumes", {}))


def _short(value: Any) -> Any:  # noqa: ANN401
    """Of a git record, the commit and whether there are changes."""
    if isinstance(value, dict) and "sha" in value:
        return f"{value['sha'][:10]}{' with changes' if value.get('diff') or value.get('untracked') else ''}"
    return value


def _other_cases(before: Mapping[str, str], now: Mapping[str, str]) -> list[str]:
    gone, new = sorted(before.keys() - now.keys()), sorted(now.keys() - before.keys())
    other = sorted(name for name in before.keys() & now.keys() if before[name] != now[name])
    told = [(gone, "missing now"), (new, "new"), (other, "of other content or preprocessed otherwise")]
    return [f"cases {what}: {', '.join(names[:4])}{' …' if len(names) > 4 else ''}" for names, what in told if names]


def tell_scores(before: Path, after: Path) -> str:
    """Whether the scores of two runs agree, in one sentence.

    Args:
        before: cases.csv of the one.
        after: cases.csv of the other.
    """
    one, other = ({(case, s.organ): s for case, s in read_cases(path)} for path in (before, after))
    if not one and not other:
        return "there are no test scores to compare"
    if one.keys() != other.keys():
        return "the scores cannot be compared: other cases or organs were tested"
    differences = {key: _difference(one[key], other[key]) for key in one}
    worst = max(differences, key=lambda key: differences[key])
    if before.read_text(encoding="utf-8") == after.read_text(encoding="utf-8"):
        return f"the scores agree: all numbers of {len(one)} rows are equal, to the last digit"
    if differences[worst] == 0:
        return f"Dice of all {len(one)} rows agrees, to the last digit, but other columns do not"
    changed = sum(difference > 0 for difference in differences.values())
    return (
        f"the scores do not agree: Dice of {changed} of {len(one)} differ, most, by {differences[worst]:.4f}, "
        f"of {worst[1]} in {worst[0]}"
    )


def _difference(one: OrganScore, other: OrganScore) -> float:
    """Of Dice; 1 where only one of them has any."""
    if math.isnan(one.dice) or math.isnan(other.dice):
        return float(math.isnan(one.dice) != math.isnan(other.dice))
    return abs(one.dice - other.dice)
