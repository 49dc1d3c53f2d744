"""How the run that is to go on is found: by its configuration, not by its name."""

import logging
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

from hydra.core.hydra_config import HydraConfig
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf

from segment.configuration.values import OF_CALL, flat, portable, sources
from segment.errors import UserError

log = logging.getLogger(__name__)

IN_CHECKPOINT = ("optimizer", "model.optimizer", "scheduler", "model.scheduler", "callbacks.average")


def last_checkpoint(folder: Path) -> Path | None:
    """The run's last checkpoint; None when it was stopped before the first."""
    path = folder / "checkpoints" / "last.ckpt"
    return path if path.exists() else None


def find_run(cfg: DictConfig, fresh: Path) -> Path | None:
    """The folder of the run that `cfg.resume` means; None when a job of a sweep had not begun.

    Args:
        cfg: The composed configuration. `resume` is a run folder, or true: then it is `fresh` if that holds a run,
            else the newest run of the same configuration.
        fresh: Where a new run would write.

    Raises:
        UserError: When there is no such run, or its configuration is another one.
    """
    folder = fresh if cfg.resume is True else Path(str(cfg.resume))
    if (folder / "config.yaml").exists():
        if changed := _changed(cfg, folder):
            msg = f"the configuration is not that of {folder}: {_tell(changed)}"
            raise UserError(msg)
        _refuse_other_steps(cfg, folder)
        return folder
    if cfg.resume is not True:
        msg = f"resume={folder} is not a run folder: it has no config.yaml; name one, e.g. outputs/quick/<date_time>"
        raise UserError(msg)
    root = Path(cfg.output_dir) / cfg.task
    # The run that is being repeated has the same configuration, but is another.
    runs = [run for run in _runs(root) if not (cfg.get("from_run") and run.samefile(cfg.from_run))]
    for run in runs:
        if not _changed(cfg, run):
            _refuse_other_steps(cfg, run)
            return run
    if HydraConfig.initialized() and HydraConfig.get().mode == RunMode.MULTIRUN:
        log.info("this job of the sweep had not begun; it begins now")
        return None
    nearest = (
        f"; in the newest, {runs[0]}, {_tell(_changed(cfg, runs[0]))}"
        if runs
        else "; leave resume=true out to begin one"
    )
    msg = f"nothing to resume: no run in {root} has this configuration{nearest}"
    raise UserError(msg)


def _runs(root: Path) -> list[Path]:
    """Run folders below a folder, the newest first."""
    # W&B has a config.yaml of its own, beside a copy of environment.json.
    found = (path for path in root.rglob("config.yaml") if "wandb" not in path.relative_to(root).parts)
    configs = [path for path in found if path.with_name("environment.json").exists()]
    return [path.parent for path in sorted(configs, key=lambda path: path.stat().st_mtime_ns, reverse=True)]


def _changed(cfg: DictConfig, folder: Path, telling: Collection[str] | None = None) -> dict[str, tuple[Any, Any]]:
    """Keys whose value differs from that of an earlier run, with both values, but for those that may.

    Args:
        cfg: The configuration.
        folder: The earlier run's.
        telling: Keys that stand for those which only repeat them; None: any key does.
    """
    before, now = flat(OmegaConf.to_container(OmegaConf.load(folder / "config.yaml"))), flat(portable(cfg))
    differing = {key for key in before.keys() | now.keys() if before.get(key) != now.get(key)} - {*OF_CALL}
    if cfg.get("init_from") and cfg.init_sha256 is None:  # the file is gone, and not needed any more
        differing.discard("init_sha256")
    written = flat(OmegaConf.to_container(cfg, resolve=False))
    origins = {key for key in differing if telling is None or any(_is_within(key, name) for name in telling)}
    return {
        key: (before.get(key), now.get(key))
        for key in sorted(differing)
        if not _repeats(key, written, origins) and not any(_is_within(key, allowed) for allowed in cfg.allow_changed)
    }


def _refuse_other_steps(cfg: DictConfig, folder: Path) -> None:
    """Refuse what a resumed run could not follow, allowed or not: optimizer and schedule come from the checkpoint.

    Raises:
        UserError: When their configuration has changed, beyond what the length of training says.
    """
    copy = cfg.copy()
    copy.allow_changed = []
    changed = _changed(copy, folder, telling=(*IN_CHECKPOINT, "trainer.max_epochs"))
    fixed = [key for key in changed if any(_is_within(key, name) for name in IN_CHECKPOINT)]
    if fixed and last_checkpoint(folder) is not None:
        msg = (
            f"{fixed[0]} cannot change in a run that is resumed, since it comes from the checkpoint; start a new run "
            "with it"
        )
        raise UserError(msg)


def _repeats(key: str, written: Mapping[str, Any], differing: Collection[str]) -> bool:
    """Whether a key only repeats, by `${...}`, another one that differs: the other tells what was changed."""
    return any(_is_within(other, source) for other in differing for source in sources(key, written))


def _is_within(key: str, other: str) -> bool:
    return key == other or key.startswith(other + ".")


def _tell(changed: Mapping[str, tuple[Any, Any]]) -> str:
    shown = [f"{key} was {before}, is {now}" for key, (before, now) in list(changed.items())[:4]]
    rest = f" and {len(changed) - 4} more" if len(changed) > 4 else ""
    allow = f"allow_changed=[{','.join(changed)}]"
    return f"{', '.join(shown)}{rest}; give the options of that run again, or allow it by {allow}"
