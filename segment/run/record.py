"""Write the records of a run: config.yaml, split.json and environment.json."""

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
from segment.run.folder import ENVIRONMENT, Run, process_records, slurm_job
from segment.run.provenance import environment
from segment.run.resume import Facts


def record(
    run: Run,
    cfg: DictConfig,
    split: Mapping[str, Sequence[str]],
    data: Mapping[str, Any],
    facts: Facts | None = None,
) -> None:
    """Write split.json, environment.json and, last, config.yaml.

    environment.json describes the process that started the run. Each process that resumed it is added to the list
    `resumed`.

    Args:
        run: The run.
        cfg: Its configuration.
        split: Case ids of each part.
        data: Plain values that identify the data, e.g. `cases`, the hashes of the CTs' voxels by case id.
        facts: What a resumed run must find again, e.g. the hash of the checkpoint; plain values by key.
    """
    path = run.folder / ENVIRONMENT
    overrides = HydraConfig.get().overrides.task if HydraConfig.initialized() else []
    content = environment(cfg.seed, overrides) | slurm_job() | _sweep() | {**data}
    if facts:
        content["facts"] = dict(facts)
    if run.resumed and path.exists():
        first = json.loads(path.read_text(encoding="utf-8"))
        content = first | {"resumed": [*first.get("resumed", []), content]}
    write_text(path, json.dumps(content, indent=1))
    write_text(run.folder / "split.json", json.dumps(split, indent=1))
    write_text(run.folder / "config.yaml", OmegaConf.to_yaml(OmegaConf.create(portable(cfg))))


def _sweep() -> dict[str, str]:
    """Entry of environment.json with the name of the grid that this job belongs to; empty for a single run."""
    if HydraConfig.initialized() and HydraConfig.get().mode == RunMode.MULTIRUN:
        return {"sweep": Path(HydraConfig.get().sweep.dir).resolve().name}
    return {}


def written_at(run: Run) -> int | None:
    """Time at which environment.json was last written, in nanoseconds; None if it does not exist."""
    path = run.folder / ENVIRONMENT
    return path.stat().st_mtime_ns if path.exists() else None


def record_use(run: Run, more: Mapping[str, float] | None = None) -> None:
    """Add the time and memory that this process has used so far to environment.json.

    A process that is killed adds nothing. Other ranks of a DDP run add nothing either, so their time is not counted.

    Args:
        run: The run.
        more: Further values.
    """
    path = run.folder / ENVIRONMENT
    content = json.loads(path.read_text(encoding="utf-8"))
    process_records(content)[-1] |= {**run.use.measured(), **(more or {})}
    with suppress(OSError):  # on a full disk, the error that ended the run is the more useful one
        write_text(path, json.dumps(content, indent=1))
