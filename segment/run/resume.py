"""Find the run to resume, and check that its configuration is the same."""

import json
import logging
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

from hydra.core.hydra_config import HydraConfig
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf

from segment.configuration.roles import IN_CHECKPOINT, mean_the_same, role
from segment.configuration.values import differing_keys, flatten, portable, referenced_keys, with_values
from segment.errors import UserError

log = logging.getLogger(__name__)

Facts = Mapping[str, Any]

MAX_LISTED = 4  # changed keys in an error message


def last_checkpoint(folder: Path) -> Path | None:
    """The run's last checkpoint; None if it was stopped before the first one."""
    path = folder / "checkpoints" / "last.ckpt"
    return path if path.exists() else None


def recorded_facts(folder: Path) -> dict[str, Any]:
    """What the last process of a run found out before it started; see `segment.run.record`.

    Raises:
        UserError: When environment.json is damaged.
    """
    path = folder / "environment.json"
    if not path.exists():
        return {}
    try:
        record: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        latest = [record, *record.get("resumed", [])][-1]
        return dict(latest.get("facts", {}))
    except (OSError, ValueError, AttributeError, TypeError) as error:
        msg = f"cannot read {path}: {error}; name a whole run folder"
        raise UserError(msg) from error


def find_run(cfg: DictConfig, fresh: Path, facts: Facts | None = None) -> Path | None:
    """The folder of the run that `cfg.resume` names; None for a job of a sweep that has not started before.

    Args:
        cfg: The composed configuration. `resume` is a run folder or true. True means `fresh` if that holds a run, and
            otherwise the newest run of the same configuration.
        fresh: The folder that a new run would use.
        facts: What the command has found out before the run, by key, e.g. the hash of a checkpoint. The run must have
            recorded the same.

    Raises:
        UserError: When there is no such run, or its configuration differs.
    """
    folder = fresh if cfg.resume is True else Path(str(cfg.resume))
    if (folder / "config.yaml").exists():
        changed = _changed(cfg, facts or {}, folder)
        if changed:
            msg = f"the configuration is not that of {folder}: {_describe(changed)}"
            raise UserError(msg)
        _refuse_other_steps(cfg, folder)
        return folder
    if cfg.resume is not True:
        msg = f"resume={folder} is not a run folder: it has no config.yaml; name one, e.g. outputs/quick/<date_time>"
        raise UserError(msg)
    return _find_by_configuration(cfg, facts or {})


def _find_by_configuration(cfg: DictConfig, facts: Facts) -> Path | None:
    """The newest run with this configuration; None for a job of a sweep that has not started before.

    Raises:
        UserError: When there is none.
    """
    root = Path(cfg.output_dir) / cfg.task
    runs = _runs(root)
    if cfg.get("from_run"):  # the run that is repeated has the same configuration, but is not the one to resume
        runs = [run for run in runs if not run.samefile(cfg.from_run)]
    for run in runs:
        if not _is_damaged(run) and not _changed(cfg, facts, run):
            _refuse_other_steps(cfg, run)
            return run
    if HydraConfig.initialized() and HydraConfig.get().mode == RunMode.MULTIRUN:
        log.info("this job of the sweep had not started; it starts now")
        return None
    if runs:
        hint = f"in the newest, {runs[0]}, {_describe(_changed(cfg, facts, runs[0]))}"
    else:
        hint = "leave out resume=true to start a new run"
    msg = f"nothing to resume: no run in {root} has this configuration; {hint}"
    raise UserError(msg)


def _is_damaged(run: Path) -> bool:
    """Whether the record of a run cannot be read; such a run cannot be resumed."""
    try:
        recorded_facts(run)
    except UserError:
        return True
    return False


def _runs(root: Path) -> list[Path]:
    """Run folders below a folder, the newest first."""
    configs = []
    for path in root.rglob("config.yaml"):
        # W&B's folders hold a config.yaml of another kind beside a copy of environment.json.
        is_wandb = "wandb" in path.relative_to(root).parts
        if not is_wandb and path.with_name("environment.json").exists():
            configs.append(path)
    configs.sort(key=lambda path: path.stat().st_mtime_ns, reverse=True)
    return [path.parent for path in configs]


def _changed(
    cfg: DictConfig, facts: Facts, folder: Path, origins: Collection[str] | None = None
) -> dict[str, tuple[Any, Any]]:
    """Keys whose value differs from that of an earlier run, with the earlier and the present value.

    Left out are keys that `allow_changed` names, keys that belong to the call, and keys that only repeat another
    changed key. For example, with `model.lr: ${lr}` a change of `lr` is listed once.

    Args:
        cfg: The configuration.
        facts: As in `find_run`; a fact that is None is not compared.
        folder: Folder of the earlier run.
        origins: If given, a repeated key is left out only if the key that it repeats is one of these or below one.
    """
    before, now = flatten(OmegaConf.to_container(OmegaConf.load(folder / "config.yaml"))), flatten(portable(cfg))
    before |= flatten(recorded_facts(folder))
    known = {key: value for key, value in facts.items() if value is not None}
    now |= flatten(known)
    for key in facts.keys() - known.keys():
        before.pop(key, None)
    differing = []
    for key in differing_keys(before, now):
        if role(key).resume != "any" and not mean_the_same(key, before.get(key), now.get(key)):
            differing.append(key)
    unresolved = flatten(OmegaConf.to_container(cfg, resolve=False))
    repeatable = differing if origins is None else [key for key in differing if _is_within_any(key, origins)]
    changed = {}
    for key in differing:
        if not _repeats(key, unresolved, repeatable) and not _is_within_any(key, cfg.allow_changed):
            changed[key] = (before.get(key), now.get(key))
    return changed


def _refuse_other_steps(cfg: DictConfig, folder: Path) -> None:
    """Refuse changes of optimizer and scheduler even if `allow_changed` names them: both come from the checkpoint.

    Changes that only follow from another number of epochs are accepted.

    Raises:
        UserError: When there is such a change; the message names the first key.
    """
    copy = with_values(cfg, allow_changed=[])
    changed = _changed(copy, {}, folder, origins=(*IN_CHECKPOINT, "trainer.max_epochs"))
    fixed = [key for key in changed if _is_within_any(key, IN_CHECKPOINT)]
    if fixed and last_checkpoint(folder) is not None:
        msg = (
            f"{fixed[0]} cannot change in a resumed run, because it is restored from the checkpoint; start a new run "
            "to change it"
        )
        raise UserError(msg)


def _repeats(key: str, unresolved: Mapping[str, Any], differing: Collection[str]) -> bool:
    """Whether a key refers by `${...}` to another key that differs."""
    nodes = referenced_keys(key, unresolved)
    return any(_is_within_any(other, nodes) for other in differing)


def _is_within(key: str, node: str) -> bool:
    return key == node or key.startswith(node + ".")


def _is_within_any(key: str, nodes: Collection[str]) -> bool:
    return any(_is_within(key, node) for node in nodes)


def _describe(changed: Mapping[str, tuple[Any, Any]]) -> str:
    """List the first changes and how to allow them all."""
    listed = [f"{key} was {before}, is now {now}" for key, (before, now) in list(changed.items())[:MAX_LISTED]]
    rest = f" and {len(changed) - MAX_LISTED} more" if len(changed) > MAX_LISTED else ""
    allow = f"allow_changed=[{','.join(changed)}]"
    return f"{', '.join(listed)}{rest}; repeat the options of that run, or allow the change with {allow}"
