"""What a run's folder tells of it: configuration, split, environment, hours."""

import json
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from hydra.core.hydra_config import HydraConfig
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf

from segment.configuration.values import portable
from segment.files import write_text
from segment.run.folder import ENVIRONMENT, Run, processes_of, slurm_job
from segment.run.provenance import environment


def record(run: Run, cfg: DictConfig, split: Mapping[str, Sequence[str]], data: Mapping[str, Any]) -> None:
    """Write split.json, environment.json and, last, config.yaml.

    environment.json tells of the start; every later process of the run adds its own under `resumed`.

    Args:
        run: The run.
        cfg: Its configuration.
        split: Ids of the cases of each part.
        data: What tells the cases' content, as plain values: `cases`, hashes of the CTs' voxels by id, and more.
    """
    path = run.folder / ENVIRONMENT
    overrides = HydraConfig.get().overrides.task if HydraConfig.initialized() else []
    facts = environment(cfg.seed, overrides) | slurm_job() | _sweep() | {**data}
    if run.resumed and path.exists():
        first = json.loads(path.read_text(encoding="utf-8"))
        facts = first | {"resumed": [*first.get("resumed", []), facts]}
    write_text(path, json.dumps(facts, indent=1))
    write_text(run.folder / "split.json", json.dumps(split, indent=1))
    write_text(run.folder / "config.yaml", OmegaConf.to_yaml(OmegaConf.create(portable(cfg))))


def _sweep() -> dict[str, str]:
    """Name of the grid that this job belongs to, which its jobs share; nothing for a run of its own."""
    if HydraConfig.initialized() and HydraConfig.get().mode == RunMode.MULTIRUN:
        return {"sweep": Path(HydraConfig.get().sweep.dir).resolve().name}
    return {}


def stamp(run: Run) -> int | None:
    """When environment.json was written."""
    path = run.folder / ENVIRONMENT
    return path.stat().st_mtime_ns if path.exists() else None


def record_use(run: Run, more: Mapping[str, float] | None = None) -> None:
    """Add to environment.json what this process has used so far; one that is killed leaves nothing.

    Further processes of a DDP run write nothing, so their time is not in it.

    Args:
        run: The run.
        more: What else it has measured.
    """
    path = run.folder / ENVIRONMENT
    facts = json.loads(path.read_text(encoding="utf-8"))
    processes_of(facts)[-1] |= {**run.use.so_far(), **(more or {})}
    with suppress(OSError):  # a full disk; what ended the run has more to say
        write_text(path, json.dumps(facts, indent=1))
