"""The run folder: where a run writes, what it records at the start, and how an interrupted one is found again."""

import json
import logging
import os
import traceback
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig, OmegaConf

from segment.errors import UserError
from segment.files import write_text
from segment.provenance import environment

log = logging.getLogger(__name__)

HERE = "SEGMENT_RUN_DIR"  # tells the other processes of a DDP run where the first one writes
NOT_COMPARED = ("resume", "run_dir", "allow_changed")


@dataclass(frozen=True)
class Run:
    """A run folder.

    Attributes:
        folder: Where everything goes.
        checkpoint: What to resume from; None starts anew.
    """

    folder: Path
    checkpoint: Path | None


@contextmanager
def begin(cfg: DictConfig) -> Iterator[Run]:
    """Choose the run folder, put it into `cfg.run_dir`, and keep a log in it while the block runs.

    Raises:
        UserError: When the folder holds another run, or there is nothing to resume.
    """
    run = _choose(cfg)
    cfg.run_dir = str(run.folder)
    run.folder.mkdir(parents=True, exist_ok=True)
    handler = logging.FileHandler(run.folder / "train.log")
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(name)s: %(message)s"))
    logging.getLogger().addHandler(handler)
    os.environ[HERE] = str(run.folder)
    try:
        yield run
    except BaseException:
        # Into the file only: what the terminal shows of it is the door's choice.
        handler.stream.write(traceback.format_exc())
        raise
    finally:
        os.environ.pop(HERE, None)
        logging.getLogger().removeHandler(handler)
        handler.close()


def record(run: Run, cfg: DictConfig, split: Mapping[str, Sequence[str]]) -> None:
    """Write config.yaml, split.json and environment.json."""
    write_text(run.folder / "config.yaml", OmegaConf.to_yaml(OmegaConf.create(portable(cfg))))
    write_text(run.folder / "split.json", json.dumps(split, indent=1))
    write_text(run.folder / "environment.json", json.dumps(environment(cfg.seed), indent=1))


def portable(cfg: DictConfig) -> dict[str, Any]:
    """The resolved configuration with the run folder as `.`, so that equal runs have equal configurations."""
    copy = cfg.copy()
    copy.run_dir = "."
    result: dict[str, Any] = OmegaConf.to_container(copy, resolve=True)  # type: ignore[assignment]
    return result


def flat(node: Any, prefix: str = "") -> dict[str, Any]:  # noqa: ANN401
    """Nested dictionaries as one level of dotted keys."""
    if not isinstance(node, dict) or not node:
        return {prefix: node}
    return {
        k: v for key, value in node.items() for k, v in flat(value, f"{prefix}.{key}" if prefix else str(key)).items()
    }


def _choose(cfg: DictConfig) -> Run:
    if not OmegaConf.is_missing(cfg, "run_dir"):  # called from Python, or a further process of DDP
        fresh = Path(cfg.run_dir)
    elif "LOCAL_RANK" in os.environ and HERE in os.environ:
        folder = Path(os.environ[HERE])
        return Run(folder, _last(folder) if cfg.resume else None)
    else:
        fresh = Path(HydraConfig.get().runtime.output_dir)
    if cfg.resume is False:
        if (fresh / "config.yaml").exists():
            msg = f"{fresh} holds a run already; choose another folder, or go on with it by resume=true"
            raise UserError(msg)
        return Run(fresh, None)
    folder = _to_resume(cfg, fresh)
    if folder != fresh and fresh.is_dir() and not any(fresh.iterdir()):
        fresh.rmdir()
    checkpoint = _last(folder)
    log.info("going on with %s from %s", folder, "its last checkpoint" if checkpoint else "the start: no checkpoint yet")
    return Run(folder, checkpoint)


def _last(folder: Path) -> Path | None:
    path = folder / "checkpoints" / "last.ckpt"
    return path if path.exists() else None


def _to_resume(cfg: DictConfig, fresh: Path) -> Path:
    """The folder of the run that `resume` means."""
    if cfg.resume is not True:
        folder = Path(str(cfg.resume))
        if not (folder / "config.yaml").exists():
            msg = f"resume={folder} is not a run folder: it has no config.yaml; name one such as outputs/train/<date_time>"
            raise UserError(msg)
        if changed := _changed(cfg, folder):
            msg = (
                f"the configuration is not that of {folder}: {_tell(changed)}; take the change back, "
                f"or allow it by allow_changed=[{','.join(changed)}]"
            )
            raise UserError(msg)
        return folder
    root = Path(cfg.output_dir) / cfg.task
    runs = sorted({fresh, *(path.parent for path in root.rglob("config.yaml"))}, key=_age)
    runs = [folder for folder in runs if (folder / "config.yaml").exists()]
    for folder in runs:
        if not _changed(cfg, folder):
            return folder
    if HydraConfig.initialized() and HydraConfig.get().mode.name == "MULTIRUN":
        log.info("this job of the sweep had not begun; it begins in %s", fresh)
        return fresh
    nearest = f"; the newest, {runs[0]}, differs in {_tell(_changed(cfg, runs[0]))}" if runs else ""
    msg = f"nothing to resume: no run in {root} has this configuration{nearest}"
    raise UserError(msg)


def _age(folder: Path) -> float:
    """For sorting, the newest first."""
    path = folder / "config.yaml"
    return -path.stat().st_mtime if path.exists() else 0.0


def _changed(cfg: DictConfig, folder: Path) -> dict[str, tuple[Any, Any]]:
    """Keys whose value differs from that of an earlier run, with both values, but for those that may."""
    before, now = flat(OmegaConf.to_container(OmegaConf.load(folder / "config.yaml"))), flat(portable(cfg))
    allowed = (*NOT_COMPARED, *cfg.allow_changed)
    return {
        key: (before.get(key), now.get(key))
        for key in sorted(before.keys() | now.keys())
        if before.get(key) != now.get(key) and not any(key == a or key.startswith(a + ".") for a in allowed)
    }


def _tell(changed: Mapping[str, tuple[Any, Any]]) -> str:
    shown = [f"{key} was {before}, is {now}" for key, (before, now) in list(changed.items())[:4]]
    return ", ".join(shown) + (f" and {len(changed) - 4} more" if len(changed) > 4 else "")
